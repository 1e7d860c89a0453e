// What htmx does not do: the title follows a run's percent, each tenth of it is spoken, polling rests
// while the page is hidden, a lost connection is shown, and menus close when one clicks elsewhere.
"use strict";

function tell(progress) {
  document.title = progress.dataset.title;
  const spoken = document.getElementById("spoken");
  if (spoken && spoken.textContent !== progress.dataset.spoken) spoken.textContent = progress.dataset.spoken;
}

function showConnection(isLost) {
  const notice = document.getElementById("connection");
  if (notice) notice.hidden = !isLost;
}

document.addEventListener("htmx:afterSettle", () => {
  const progress = document.getElementById("progress");
  if (progress && progress.dataset.title) tell(progress);
});

document.addEventListener("htmx:confirm", (event) => {
  const polls = (event.detail.elt.getAttribute("hx-trigger") || "").includes("every");
  if (polls && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:afterRequest", (event) => showConnection(!event.detail.successful));
document.addEventListener("htmx:sendError", () => showConnection(true));

const MENUS = "details.usermenu[open], details.ask[open]";

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(MENUS)) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(MENUS)) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
