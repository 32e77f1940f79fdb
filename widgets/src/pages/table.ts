/** Tables of a report that are searched by typing: rows that do not hold the words are hidden, the rest counted. */
import { h } from "../base/dom";

/** Whether a row's text holds every word that was typed. */
export function holds(text: string, typed: string): boolean {
  const low = text.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => low.includes(word));
}

/** Put a search field above each table that asks for one. */
export function searchable(root: ParentNode): void {
  for (const table of root.querySelectorAll<HTMLTableElement>("table[data-search]")) {
    const rows = [...(table.tBodies[0]?.rows ?? [])];
    const field = h("input", { type: "search", "aria-label": `search: ${table.dataset.search ?? ""}` });
    field.placeholder = "search";
    const count = h("span", { role: "status" });
    const draw = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = !holds(row.textContent ?? "", field.value);
        shown += Number(!row.hidden);
      }
      count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    };
    field.addEventListener("input", draw);
    table.parentElement?.before(h("div", { class: "page-search" }, field, count));
    draw();
  }
}
