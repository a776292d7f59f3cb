// The plot of the page "Try your own formula", from typed arrays.
"use strict";

(() => {
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

  // Draws into `box` the columns y of each order over x; lines of f and of the others break at `breaks`.
  window.livePlot = (box, { x, orders, breaks }) => {
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
    const legend = document.createElement("p");
    legend.className = "live-legend";
    legend.setAttribute("aria-hidden", "true"); // the picture has a text of its own
    ["f", "f′", "f″"].forEach((name, order) => {
      const sample = shape("svg", { viewBox: "0 0 32 8", width: 32, height: 8 });
      sample.append(shape("path", { class: `live-line live-line-${order}`, d: "M0 4H32" }));
      const entry = document.createElement("span");
      entry.append(sample, ` ${name}`);
      legend.append(entry);
    });
    box.replaceChildren(svg, legend);
  };
})();
