// A link into a closed tab, from this page or another one, opens the tab.
"use strict";

function openTab() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const panel = target?.closest(".sd-tab-content");
  const radio = panel?.previousElementSibling?.previousElementSibling; // a tab is a radio button, its label, a panel
  if (radio?.matches("input") && !radio.checked) {
    radio.checked = true;
    target.scrollIntoView();
  }
}

window.addEventListener("hashchange", openTab);
// A link to where the page already is changes nothing in its address.
document.addEventListener("click", (event) => {
  if (event.target.closest("a[href*='#']")) setTimeout(openTab);
});
openTab();
