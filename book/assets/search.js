// A browser refuses to read pages for the excerpts of search results where the site was opened from a folder.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Excerpts are pieces of a page's text as the file has it, with formulas in TeX. They are put there as one types them:
// 1/(1 + e^(-x)). Of those of several lines an ellipsis is left.
(() => {
  const SIGNS = {
    alpha: "α", beta: "β", delta: "δ", eta: "η", theta: "θ", kappa: "κ", lambda: "λ", pi: "π", sigma: "σ", chi: "χ",
    omega: "ω", Phi: "Φ", approx: "≈", ast: "*", cdot: "·", ge: "≥", geq: "≥", infty: "∞", ldots: "…", le: "≤",
    leftarrow: "←", leq: "≤", lvert: "|", nabla: "∇", ne: "≠", partial: "∂", pm: "±", rvert: "|", sim: "~", sum: "∑",
    times: "×", to: "→", vert: "|", left: "", right: "", displaystyle: "", quad: " ", qquad: " ", "%": "%",
  };
  const ALPHABETS = ["text", "mathbb", "mathbf", "mathrm", "operatorname"];
  const grouped = (text) => (/^[\p{L}\p{N}.∞*]*$/u.test(text) ? text : `(${text})`);

  function asText(tex) {
    if (tex.includes("\\begin")) return "…";
    const tokens = tex.match(/\\(?:partial|nabla|lvert) ?|\\[A-Za-z]+|\\[^]|[^]/g) ?? [];
    const sequence = () => {
      let text = "";
      while (tokens.length && tokens[0] !== "}") text += one();
      tokens.shift();
      return text.trim();
    };
    const argument = () => {
      while (tokens[0] === " ") tokens.shift();
      return one().trim();
    };
    const one = () => {
      const token = tokens.shift() ?? "";
      if (token === "{") return sequence();
      if (token === "^" || token === "_") return token + grouped(argument());
      if (!token.startsWith("\\")) return token;
      const name = token.slice(1).trim();
      if (/^[dt]?frac$/.test(name)) return ` ${grouped(argument())}/${grouped(argument())}`;
      if (name === "sqrt") return `√${grouped(argument())}`;
      if (name === "tag") return `(${argument()})`;
      if (ALPHABETS.includes(name)) return argument();
      return SIGNS[name] ?? (/^[A-Za-z]/.test(name) ? ` ${name}${/^[\w\\]/.test(tokens[0]) ? " " : ""}` : " ");
    };
    return sequence().replace(/\s+/g, " ").replace(/(?<=[(|·]) | (?=[),])/g, "");
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search === "undefined") return;  // every page but that of the results
    const textOf = Search.htmlToText;
    Search.htmlToText = (html, anchor) => {
      const page = new DOMParser().parseFromString(html, "text/html");
      page.querySelector("#jb-print-docs-body")?.remove();  // title and contents, once more for paper
      for (const formula of page.querySelectorAll(".math")) {
        formula.textContent = asText(formula.textContent.trim().replace(/^\\[([]|\\[)\]]$/g, ""));
      }
      return textOf(page.documentElement.outerHTML, anchor);
    };
  });
})();
