"use strict";
// the table: a button in each head sorts by its column, and again the other way round
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0], column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    const value = (row) => row.cells[column].textContent.trim();
    const number = (text) => Number(text.replaceAll(",", "").replace("≤ ", "").replace("inf", "Infinity"));
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)], [p, q] = [number(x), number(y)];
      if (x === "" || y === "") return (x === "") - (y === "") || 0;  // what has no number stays below
      const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : (p > q) - (p < q);
      return down ? -order : order;
    };
    for (const other of head.parentElement.cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...Array.from(body.rows).sort(compare));
  });
}
// the theme: the system's, then light, then dark
const themes = ["system", "light", "dark"], theme = document.querySelector(".theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement, next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % 3];
  if (next === "system") delete root.dataset.theme; else root.dataset.theme = next;
  theme.textContent = `Theme: ${next}`;
});
// a link to a claim opens it, and paper shows all that can be unfolded but the numbers
const open = () => {
  const claim = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (claim && claim.matches("details")) { claim.open = true; claim.scrollIntoView(); }
};
addEventListener("hashchange", open);
for (const link of document.querySelectorAll("td a[href^='#']")) link.addEventListener("click", () => setTimeout(open));
addEventListener("beforeprint", () => document.querySelectorAll("details.claim").forEach((d) => { d.open = true; }));
open();
