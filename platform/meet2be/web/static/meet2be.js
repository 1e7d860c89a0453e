// What htmx does not do: the title follows a run's percent, polling rests while the page is hidden,
// and a menu closes when one clicks elsewhere.
"use strict";

document.addEventListener("htmx:afterSettle", (event) => {
  const state = event.target.closest("[data-title]") || event.target.querySelector("[data-title]");
  if (state) document.title = state.dataset.title;
});

document.addEventListener("htmx:confirm", (event) => {
  const polls = (event.detail.elt.getAttribute("hx-trigger") || "").includes("every");
  if (polls && document.hidden) event.preventDefault();
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.usermenu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.usermenu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
