// What the pages gain by JavaScript beside htmx: nothing of it is needed.
"use strict";
document.documentElement.classList.add("js");

// On a phone a row stands as lines: each cell then says what it is.
function label() {
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
    if (!heads.length) continue;
    for (const row of table.querySelectorAll("tbody tr"))
      [...row.cells].forEach((cell, number) => {
        if (number && cell.dataset.label !== heads[number]) cell.dataset.label = heads[number];
      });
  }
}
label();
document.addEventListener("htmx:after:swap", label);

// On a phone the menu is longer than the screen.
document.querySelector("header nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// What was opened beside the list gets the focus.
document.addEventListener("htmx:after:swap", () => {
  const opened = document.querySelector("#panel h1:not([data-seen])");
  if (!opened) return;
  opened.dataset.seen = "1";
  opened.focus();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});
