// The page "Try your own formula": asks the engine in its workers for the parts of an answer and shows each as it comes.
// Text of the reader and of the engine is set as text, never as HTML.
"use strict";

(() => {
  const root = document.querySelector(".live");
  const form = root.querySelector(".live-ask");
  const field = form.querySelector("input");
  const results = root.querySelector(".live-results");
  const TARGETS = { pytorch: "PyTorch", c: "C", triton: "Triton", numpy: "NumPy", vega: "Vega" };
  // Seconds after which a part is ended, once the engine is there.
  const LIMITS = { curves: 20, form: 60, properties: 90 };
  const limit = (part) => (part !== "curves" && Number(root.dataset.seconds)) || LIMITS[part] || 60;
  let moved = {}; // values of the sliders that the reader has moved
  let round = 0; // of formulas: what comes for an earlier one is dropped

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const say = (text) => (root.querySelector(".live-status").textContent = text);

  const progress = root.querySelector(".live-progress");
  const source = [new URL("../_static/live/", location.href).href, root.dataset.engine, limit];
  // One worker for what must come at once, another for what may take long: that one is ended where it is asked anew.
  const quick = new LiveEngine(...source, (step) => {
    progress.value = step;
    progress.hidden = step === 4;
    if (step < 4) say(["Python is there, unpacking.", "Loading SymPy.", "Loading cosnb."][step - 1]);
  });
  const thorough = new LiveEngine(...source);

  function fail(text) {
    const shown = root.querySelector(".live-error");
    shown.textContent = text;
    shown.hidden = !text;
    field.setAttribute("aria-invalid", String(Boolean(text)));
    if (text) results.hidden = true;
  }

  function compute(slow = true) {
    const text = field.value;
    const values = { ...moved };
    const mine = ++round;
    const current = (show) => (value) => mine === round && show(value);
    const hash = [["f", text], ...Object.entries(values)].map((pair) => pair.map(encodeURIComponent).join("="));
    history.replaceState(null, "", `#${hash.join("&")}`);
    quick.forget(true);
    quick.ask("curves", text, values, current((value) => {
      fail(value.error ?? "");
      if (value.error) return say("");
      showCurves(value);
      say("Plot and derivatives are there.");
      if (slow) ask(text, values, current);
    }));
  }

  function ask(text, values, current) {
    thorough.forget(false);
    const box = (name) => results.querySelector(`.live-${name}`);
    const ask = (part, show) => {
      box(part).replaceChildren(element("p", { class: "live-wait" }, "…"));
      thorough.ask(part, text, values, current((value) => show(box(part), value, part)));
    };
    for (const part of ["properties", ...Object.keys(TARGETS)]) box(part).replaceChildren();
    ask("form", (place, value) => {
      showForm(place, value);
      if (!value.error) for (const target of Object.keys(TARGETS)) ask(target, showCode);
      ask("properties", (place, value) => {
        showProperties(place, value);
        say(value.error ? "The properties were not found." : "Properties, normal form and code are there.");
      });
    });
  }

  function frame() {
    if (results.childElementCount) return;
    const part = (title, name) => [element("h2", {}, title), element("div", { class: `live-${name}` })];
    results.append(
      element("div", { class: "live-formula" }),
      element("div", { class: "live-sliders" }),
      element("div", { class: "live-plot" }),
      element("p", { class: "live-share" }),
      ...part("Derivatives", "derivatives"),
      ...part("Properties", "properties"),
      ...part("Normal form", "form"),
      element("h2", {}, "Code"),
      ...Object.keys(TARGETS).map((target) => element("div", { class: `live-${target}` })),
      element("h2", {}, "Training"),
      element("p", { class: "live-training" }),
    );
  }

  const math = (tex) => element("div", { class: "mathjax_process live-math", tabindex: "0" }, `\\[${tex}\\]`);
  let typesetting = null; // one after the other
  function typeset(box, ...formulas) {
    box.replaceChildren(...formulas.map(math));
    typesetting = (typesetting ?? MathJax.startup.promise).then(() => {
      MathJax.typesetClear([box]);
      return MathJax.typesetPromise([box]);
    });
  }

  let drawn = null;
  const draw = () => livePlot(results.querySelector(".live-plot"), drawn);

  function showCurves(value) {
    frame();
    results.hidden = false;
    drawn = { ...value, breaks: {} };
    draw();
    typeset(results.querySelector(".live-formula"), value.formula);
    typeset(results.querySelector(".live-derivatives"), ...value.orders.slice(1).map((order) => order.latex));
    showSliders(value.parameters);
    const colab = element("a", { href: root.dataset.colab, class: "live-button", rel: "noopener" }, "Train with it on Colab");
    const put = Object.entries(value.parameters).map((pair) => pair.join("=")).join(", ");
    const lines = [`formula = ${JSON.stringify(field.value)}`, ...(put ? [`parameters = ${JSON.stringify(put)}`] : [])];
    const set = lines.flatMap((line, k) => [k ? " and " : " In its cell of parameters, set ", element("code", {}, line)]);
    results.querySelector(".live-training").replaceChildren(colab, ...set, ".");
    const link = element("a", { href: location.hash }, "A link to this formula");
    results.querySelector(".live-share").replaceChildren(link, ".");
  }

  const number = (text) => {
    const [above, below = "1"] = text.split("/");
    return Number(above) / Number(below);
  };
  function showSliders(parameters) {
    const box = results.querySelector(".live-sliders");
    const names = Object.keys(parameters);
    const shown = [...box.querySelectorAll("input")].map((input) => input.name);
    if (names.join() === shown.join()) return;
    box.replaceChildren();
    for (const name of names) {
      const start = number(parameters[name]);
      const [low, high] = start ? [start / 4, start * 4].sort((a, b) => a - b) : [-1, 1];
      const input = element("input", { type: "range", name, min: low, max: high, step: (high - low) / 200 });
      const label = element("span", {}, `${name} = ${Number(start.toPrecision(3))}`);
      input.value = start;
      input.oninput = () => {
        moved[name] = String(Number(Number(input.value).toPrecision(3)));
        label.textContent = `${name} = ${moved[name]}`;
        input.setAttribute("aria-valuetext", label.textContent);
        later();
      };
      box.append(element("label", {}, label, input));
    }
  }

  function table(head, rows) {
    const cells = (name, row) => element("tr", {}, ...row.map((cell) => element(name, {}, String(cell))));
    const made = element("table", { class: "table" }, element("thead", {}, cells("th", head)));
    made.append(element("tbody", {}, ...rows.map((row) => cells("td", row))));
    return element("div", { class: "pst-scrollable-table-container", tabindex: "0" }, made);
  }

  function showProperties(box, value) {
    if (value.error) return box.replaceChildren(element("p", {}, value.error));
    box.replaceChildren(table(["property", "value", "how", "why"], value.rows));
    drawn.breaks = value.breaks;
    draw();
  }

  function showForm(box, value) {
    if (value.error) return box.replaceChildren(element("p", {}, value.error));
    const formulas = element("div");
    const [f, slope] = value.orders;
    const rows = Object.keys(f.before).map((name) => [name, f.before[name], f.after[name], slope.before[name], slope.after[name]]);
    const head = ["operations", "f as written", "f compiled", "f′ as written", "f′ compiled"];
    const used = rows.filter(([, ...counts]) => counts.some(Boolean));
    box.replaceChildren(formulas, element("p", {}, `f: ${f.note}. f′: ${slope.note}.`), table(head, used));
    typeset(formulas, ...value.orders.map((order) => order.latex).filter(Boolean));
  }

  function showCode(box, value, target) {
    if (value.error) return box.replaceChildren(element("p", {}, `${TARGETS[target]}: ${value.error}`));
    const lines = value.code.split("\n").length;
    const summary = element("summary", {}, `${TARGETS[target]} (${lines} ${lines === 1 ? "line" : "lines"})`);
    const copy = element("button", { type: "button", "aria-label": `Copy the code for ${TARGETS[target]}` }, "Copy");
    copy.onclick = async () => {
      await navigator.clipboard.writeText(value.code);
      say(`The code for ${TARGETS[target]} is in the clipboard.`);
    };
    const open = box.querySelector("details")?.open;
    const code = element("pre", { tabindex: "0" }, element("code", {}, value.code));
    box.replaceChildren(element("details", open ? { open: "" } : {}, summary, copy, code));
  }

  let timer = 0;
  function later() {
    if (!quick.isStarted) return; // nothing is loaded before the reader asks
    clearTimeout(timer);
    compute(false);
    timer = setTimeout(compute, 700);
  }

  function readAddress() {
    const pairs = location.hash.slice(1).split("&").map((pair) => pair.split(/=(.*)/s).slice(0, 2).map(decodeURIComponent));
    const { f, ...values } = Object.fromEntries(pairs.filter(([name, value]) => name && value !== undefined));
    if (f === undefined) return false;
    field.value = f;
    moved = values;
    return true;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    if (!quick.isStarted) {
      say("Loading the engine.");
      progress.hidden = false;
    }
    compute();
  });
  field.addEventListener("input", () => {
    moved = {};
    if (!quick.isStarted) return;
    clearTimeout(timer);
    timer = setTimeout(compute, 300);
  });
  addEventListener("hashchange", () => readAddress() && quick.isStarted && compute());
  addEventListener("resize", () => drawn && draw());

  try {
    readAddress();
  } catch {
    say("The address holds no formula that can be read."); // a % that stands for nothing
  }
  if (location.protocol === "file:") {
    say("Browsers do not start the engine from a file: say `cosnb serve` and open the address that it prints.");
    form.querySelector("button").disabled = true;
  } else if (!root.dataset.engine) form.querySelector("button").disabled = true;
})();
