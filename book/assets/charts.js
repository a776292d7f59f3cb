// The site's interactive figures: Vega draws each over its picture, its colours follow the theme, its controls are
// the browser's own form elements, labelled by what they set.
"use strict";

const isDark = () => document.documentElement.dataset.theme === "dark";

async function start(chart) {
  const specification = JSON.parse(chart.querySelector(".chart-specification").textContent);
  const controls = chart.querySelector(".chart-controls");
  specification.background = "transparent";
  specification.params.find((parameter) => parameter.name === "dark").value = isDark();
  chart.classList.add("chart-started"); // from here on the live chart has the width that Vega asks for
  try {
    const { view } = await vegaEmbed(chart.querySelector(".chart-live"), specification, {
      actions: false,
      bind: controls,
      defaultStyle: false,
      renderer: "svg",
      tooltip: false,
    });
    // The whole is one image with a text of its own; Vega's marks would be images without any.
    chart.querySelector(".chart-live svg").setAttribute("aria-hidden", "true");
    for (const { name, value } of specification.params) {
      if (name.endsWith("_label")) relabel(view, controls, name);
      if (name.endsWith("_button")) addButton(controls, name, value);
    }
    const follow = () => view.signal("dark", isDark()).runAsync();
    new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    controls.addEventListener("submit", (event) => event.preventDefault()); // Enter would leave the page
    chart.classList.add("chart-ready");
  } catch (error) {
    chart.classList.remove("chart-started");
    console.error(error);
  }
}

// The parameter NAME_label is the text of the control NAME; where it is empty, the control has nothing to set.
function relabel(view, controls, label) {
  const input = controls.elements[label.slice(0, -"_label".length)];
  const row = input.closest(".vega-bind");
  row.classList.add("chart-relabelled");
  const show = (name, text) => {
    row.hidden = text === "";
    row.querySelector(".vega-bind-name").textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  show(label, view.signal(label));
  view.addSignalListener(label, show);
}

// The parameter NAME_button is the text of a button that moves the slider NAME on by a step, and from its end to its start.
function addButton(controls, name, text) {
  const input = controls.elements[name.slice(0, -"_button".length)];
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  button.addEventListener("click", () => {
    if (input.value === input.max) input.value = input.min;
    else input.stepUp();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  controls.prepend(button);
}

// A chart in a closed tab has no width: it starts when its tab is opened.
const shown = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (contentRect.width > 0) {
      shown.unobserve(target);
      start(target);
    }
  }
});
document.querySelectorAll(".chart").forEach((chart) => shown.observe(chart));
