// A field over the catalogue of activations that leaves the rows with all the words typed; without a script all are there.
"use strict";

(() => {
  const table = document.querySelector(".tag_catalogue table");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const label = document.createElement("label");
  const field = document.createElement("input");
  const found = document.createElement("output");
  label.className = "catalogue-search";
  field.type = "search";
  field.autocomplete = "off";
  label.append("Search the catalogue ", field, found);
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const { row, text } of rows) row.hidden = !words.every((word) => text.includes(word));
    found.textContent = field.value.trim() ? `${rows.filter(({ row }) => !row.hidden).length} of ${rows.length}` : "";
  };
  field.addEventListener("input", filter);
  const place = table.closest(".pst-scrollable-table-container") ?? table;
  place.before(label);
})();
