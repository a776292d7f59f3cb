// The page "Try your own formula": asks the engine in its workers for the parts of an answer and shows each as it comes.
// Text of the reader and of the engine is set as text, never as HTML.
"use strict";

(() => {
  const root = document.querySelector(".live");
  const form = root.querySelector(".live-ask");
  const field = form.querySelector("input");
  const results = root.querySelector(".live-results");
  const folder = new URL("../_static/live/", location.href).href;
  const TARGETS = { pytorch: "PyTorch", c: "C", triton: "Triton", numpy: "NumPy", vega: "Vega" };
  // Seconds after which a part is ended; the first one that is asked for waits for the engine too.
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

  const sentence = (fault) =>
    /call stack|memory/i.test(fault)
      ? "The formula asks for more memory than a browser gives: simplify it."
      : `The engine failed: ${fault}`;

  // One worker for what must come at once, another for what may take long: that one is ended where it is asked anew.
  class Engine {
    #worker = null;
    #wanted = []; // [part, show], the first one under way
    #timer = 0;
    #ready = false;
    #running = false;

    constructor(step = () => {}) {
      this.step = step;
    }

    async #start() {
      this.#ready = false;
      const source = await (await fetch(`${folder}../live-worker.js?${root.dataset.engine}`)).text();
      // From a blob, so that the page's policy holds for it too.
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
      worker.onmessage = ({ data }) => this.#receive(worker, data);
      worker.onerror = (event) => this.#receive(worker, { fault: event.message || "the engine did not start" });
      this.#worker = worker;
      worker.postMessage({ folder, digest: root.dataset.engine });
    }

    load() {
      this.starting ??= this.#start();
      return this.starting;
    }

    ask(part, text, values, show) {
      this.#wanted.push({ part, text, values, show });
      this.load();
      this.#next();
    }

    #next() {
      if (!this.#ready || this.#running || !this.#wanted.length) return;
      this.#running = true;
      const { part, text, values } = this.#wanted[0];
      this.#worker.postMessage({ part, text, values });
      this.#timer = setTimeout(() => {
        const { show } = this.#wanted[0];
        this.end(1);
        show({ error: `The calculation was ended after its limit of ${limit(part)} s.` });
      }, limit(part) * 1000);
    }

    #receive(worker, { step, part, value, fault }) {
      if (worker !== this.#worker) return;
      if (step) {
        this.step(step);
        if (step < 4) return;
        this.#ready = true;
        this.#next();
      } else {
        clearTimeout(this.#timer);
        this.#running = false;
        const asked = this.#wanted[0];
        if (!fault) this.#wanted.shift();
        else if (part) this.end(1); // after it Python may be dead: another worker goes on
        else this.end(this.#wanted.length, false);
        asked?.show(fault ? { error: sentence(fault) } : value);
        this.#next();
      }
    }

    // Ends what is under way and drops the first `count` wishes; another worker takes over the rest.
    end(count = this.#wanted.length, again = true) {
      clearTimeout(this.#timer);
      this.#wanted.splice(0, count);
      this.#worker?.terminate();
      this.#worker = null;
      this.starting = undefined;
      this.#ready = this.#running = false;
      if (again) this.load();
    }

    // Drops what is asked for; what is under way is ended, or with `patient` waited for.
    forget(patient) {
      if (this.#running && !patient) this.end();
      else this.#wanted.splice(this.#running ? 1 : 0);
    }
  }

  const progress = root.querySelector(".live-progress");
  const quick = new Engine((step) => {
    progress.value = step;
    progress.hidden = step === 4;
    if (step < 4) say(["Python is there, unpacking.", "Loading SymPy.", "Loading cosnb."][step - 1]);
  });
  const thorough = new Engine();

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

  // The plot: one path a derivative, in pieces where it has no number or breaks.
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };

  function bounds(columns) {
    let [low, high] = [Infinity, -Infinity];
    for (const column of columns)
      for (const value of column)
        if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (low > high) return [-1, 1];
    [low, high] = [Math.max(low, -4), Math.min(high, 8)]; // beside what explodes the rest would be flat lines
    if (low >= high) [low, high] = [low - 1, low + 1];
    const margin = 0.05 * (high - low);
    return [low - margin, high + margin];
  }

  function ticks(low, high) {
    const step = [1, 2, 5, 10].map((k) => k * 10 ** Math.floor(Math.log10((high - low) / 4))).find((s) => (high - low) / s < 7);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(6)));
    return found;
  }

  function draw() {
    const { x, orders, breaks } = drawn;
    const box = results.querySelector(".live-plot");
    const [width, height, left, bottom] = [Math.max(box.clientWidth, 280), 320, 44, 28];
    const [low, high] = bounds(orders.slice(0, 2).map((order) => order.y));
    const [first, last] = [x[0], x[x.length - 1]];
    const across = (value) => left + ((value - first) / (last - first)) * (width - left - 8);
    const up = (value) => 8 + ((high - value) / (high - low)) * (height - bottom - 8);
    const label = `f, f′ and f″ from ${first} to ${last}`;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const clip = shape("clipPath", { id: "live-window" });
    clip.append(shape("rect", { x: left, y: 8, width: width - left - 8, height: height - bottom - 8 }));
    svg.append(clip);
    for (const at of ticks(first, last)) {
      svg.append(shape("path", { class: at ? "live-grid" : "live-zero", d: `M${across(at)} 8V${height - bottom}` }));
      svg.append(shape("text", { x: across(at), y: height - 8, "text-anchor": "middle" }, String(at).replace("-", "−")));
    }
    for (const at of ticks(low, high)) {
      svg.append(shape("path", { class: at ? "live-grid" : "live-zero", d: `M${left} ${up(at)}H${width - 8}` }));
      svg.append(shape("text", { x: left - 6, y: up(at) + 4, "text-anchor": "end" }, String(at).replace("-", "−")));
    }
    orders.toReversed().forEach(({ y }, back) => {
      const order = orders.length - 1 - back;
      const cuts = breaks[Math.min(order, 1)] ?? [];
      let path = "";
      let pen = "M";
      y.forEach((value, k) => {
        if (k && cuts.some((at) => x[k - 1] < at && at <= x[k])) pen = "M";
        if (!Number.isFinite(value)) return (pen = "M");
        const height = Math.max(-1e4, Math.min(1e4, up(value)));
        path += `${pen}${across(x[k]).toFixed(1)} ${height.toFixed(1)}`;
        pen = "L";
      });
      svg.append(shape("path", { class: `live-line live-line-${order}`, d: path, "clip-path": "url(#live-window)" }));
    });
    const legend = element("p", { class: "live-legend", "aria-hidden": "true" });
    ["f", "f′", "f″"].forEach((name, order) => {
      const sample = shape("svg", { viewBox: "0 0 32 8", width: 32, height: 8 });
      sample.append(shape("path", { class: `live-line live-line-${order}`, d: "M0 4H32" }));
      legend.append(element("span", {}, sample, ` ${name}`));
    });
    box.replaceChildren(svg, legend);
  }

  let timer = 0;
  function later() {
    if (!quick.starting) return; // nothing is loaded before the reader asks
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
    if (!quick.starting) {
      say("Loading the engine.");
      progress.hidden = false;
    }
    compute();
  });
  field.addEventListener("input", () => {
    moved = {};
    if (!quick.starting) return;
    clearTimeout(timer);
    timer = setTimeout(compute, 300);
  });
  addEventListener("hashchange", () => readAddress() && quick.starting && compute());
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
