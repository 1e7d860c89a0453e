// What htmx does not do: the title follows a run's percent, each tenth of it is spoken, polling rests
// while the page is hidden, a lost connection is shown, menus close when one clicks elsewhere, and
// nobody is led on twice. Who types stays logged in.
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

// On a narrow screen the tabs are longer than the window: where one is comes into sight.
for (const here of document.querySelectorAll(".tabs [aria-current]")) {
  const bar = here.parentElement;
  bar.scrollLeft = here.offsetLeft - bar.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;
}

// A side of a bar where more is to be found fades out.
for (const bar of document.querySelectorAll(".tabs")) {
  const fade = () => {
    bar.classList.toggle("more-before", bar.scrollLeft > 1);
    bar.classList.toggle("more-after", bar.scrollLeft + bar.clientWidth < bar.scrollWidth - 1);
  };
  bar.addEventListener("scroll", fade, { passive: true });
  new ResizeObserver(fade).observe(bar);
}

// Whoever has just ordered is led on from here once; coming back, they stay.
if (document.querySelector("[data-new-order]")) history.replaceState(null, "", location.pathname);

const MENUS = "details.usermenu[open], details.ask[open]";
const AREAS = "details.areas[open]"; // what it opens stands beside it, so clicks there are no clicks elsewhere

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(MENUS)) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(`${MENUS}, ${AREAS}`)) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// The columns of an export: where scripts run, buttons move them and the numbers follow by themselves.
function arrange(list) {
  list.classList.add("moving");
  const renumber = () => [...list.children].forEach((item, place) => { item.querySelector(".place").value = place + 1; });
  for (const place of list.querySelectorAll(".place")) place.tabIndex = -1;
  for (const button of list.querySelectorAll("[data-move]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const item = button.closest("li");
      const other = button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
      if (!other) return;
      if (button.dataset.move === "up") other.before(item); else other.after(item);
      renumber();
      button.focus();
    });
  }
}

for (const list of document.querySelectorAll("[data-columns]")) arrange(list);

document.addEventListener("focusin", (event) => { if (event.target.matches("[data-copy]")) event.target.select(); });

// Typing is no request, and a log-in ends without any: now and then the server is told of it.
let toldAt = Date.now();

document.addEventListener("input", (event) => {
  const { here, hereEvery } = document.body.dataset;
  const token = event.target.form && event.target.form.elements.namedItem("csrf_token");
  if (!here || !token || Date.now() - toldAt < hereEvery * 1000) return;
  toldAt = Date.now();
  fetch(here, { method: "POST", redirect: "manual", body: new URLSearchParams({ csrf_token: token.value }) })
    .catch(() => {}); // the next letter but so many minutes tells it again
});
