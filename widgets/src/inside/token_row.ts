/** The row of tokens: a list box whose cells are coloured layer by layer, without being built again. */
import { h } from "../base/dom";
import { plain, signed } from "../base/numbers";
import { diverging, type Rgb, rgb, type Theme } from "../base/theme";
import { inkOn } from "./legend";
import { type Item, itemsOf, joined, positionsOf, spanned, stepped, type Token, toggled, visible } from "./token_items";
import { guesses, type Reading, summary, valueAt } from "./token_reading";

export interface Look {
  reading: Reading;
  layer: number;
  limit: number;
  digits: number;
  mode: "projection" | "lens";
  theme: Theme;
}

export interface Acts {
  select: (positions: number[]) => void;
  open: () => void;
  /** Another item is hovered or has the focus. */
  read: () => void;
}

interface Cell {
  item: Item;
  element: HTMLElement;
  value: HTMLElement;
}

/** Most columns that stand beside each other as in the image. */
const MOST_COLUMNS = 40;

/** A place for the opened tokens of an image, in its rows and columns where these are known. */
function pictureGrid(tokens: Token[], indices: number[]): HTMLElement {
  const grid = h("div", { class: "mp-tok-grid", role: "presentation" });
  const places = indices.map((i) => tokens[i]?.[4] ?? -1);
  const ends = (indices.at(-1) ?? 0) - (indices[0] ?? 0) + 1 > indices.length ? 1 : 0;
  const columns = Math.max(...places) + 1 + ends;
  if (Math.min(...places) < 0 || columns > MOST_COLUMNS) return grid;
  grid.dataset.columns = String(columns);
  grid.style.gridTemplateColumns = `repeat(${columns}, 18px)`;
  return grid;
}

export class Strip {
  readonly element = h("div", {
    class: "mp-strip",
    role: "listbox",
    "aria-multiselectable": "true",
    "aria-label": "Tokens; arrow keys move, Space selects, Shift extends, Enter opens the image",
    "data-testid": "tokens",
  });
  private tokens: Token[] = [];
  private cells: Cell[] = [];
  private selected: number[] = [];
  private at = 0;
  private hover = -1;
  private anchor = 0;

  constructor(private readonly acts: Acts) {
    this.element.addEventListener("click", (event) => this.onClick(event));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("pointerover", (event) => this.setHover(this.indexOf(event.target)));
    this.element.addEventListener("pointerleave", () => this.setHover(-1));
    this.element.addEventListener("focusin", (event) => {
      const index = this.indexOf(event.target);
      if (index >= 0) this.at = index;
      acts.read();
    });
    this.element.addEventListener("focusout", () => acts.read());
  }

  /** The item that is being read: hovered, else the one that was chosen last, at first the end of the prompt. */
  get reading(): Item | null {
    return this.cells[this.hover >= 0 ? this.hover : this.at]?.item ?? null;
  }

  build(tokens: Token[], opened: boolean): void {
    const focused = this.element.contains(document.activeElement);
    this.tokens = tokens;
    this.hover = -1;
    const answer = tokens.findIndex(([, role]) => role === "answer");
    this.cells = itemsOf(tokens, opened).map((item) => this.cell(item, opened));
    const nodes: HTMLElement[] = [];
    let grid: HTMLElement | null = null;
    let last = -1;
    for (const { item, element } of this.cells) {
      if (item.kind === "block") {
        nodes.push(element);
        grid = opened ? pictureGrid(tokens, item.indices) : null;
        last = item.indices.at(-1) ?? -1;
        if (grid) nodes.push(grid);
      } else if (grid && item.index <= last) grid.append(element);
      else {
        if (item.index === answer) nodes.push(h("span", { class: "mp-tok-split", role: "presentation" }, "answer"));
        nodes.push(element);
      }
    }
    this.element.replaceChildren(...nodes);
    const end = this.cells.map(({ item }) => positionsOf(tokens, item).length > 0).lastIndexOf(true);
    this.at = focused ? Math.min(this.at, Math.max(0, this.cells.length - 1)) : Math.max(0, end);
    this.rove();
    if (focused) this.cells[this.at]?.element.focus();
  }

  private cell(item: Item, opened: boolean): Cell {
    const value = h("span", { class: "mp-tok-value" });
    if (item.kind === "block") {
      const text = `${opened ? "▾" : "▸"} image × ${item.indices.length}`;
      const element = h("div", { class: "mp-tok", role: "option", "data-role": "block" }, value, h("span", {}, text));
      element.title = opened ? "Close the image" : "Open the image";
      return { item, element, value };
    }
    const [text, role, position, row, column, scope] = this.tokens[item.index] ?? ["", "", 0, -1, -1, ""];
    const data = { "data-role": role, "data-position": position, "data-borrowed": scope !== "" };
    const element = h("div", { class: "mp-tok", role: "option", ...data }, value);
    if (role === "image") element.setAttribute("aria-label", `image token, row ${row}, column ${column}`);
    else element.append(h("span", {}, visible(text)));
    if (role === "answer") element.setAttribute("aria-disabled", "true");
    return { item, element, value };
  }

  /** Colour and label every cell for a layer. */
  draw(look: Look): void {
    this.element.dataset.mode = look.mode;
    for (const { item, value } of this.cells) {
      if (look.mode === "lens") this.drawWord(item, value, look);
      else this.drawValue(item, value, look);
    }
  }

  private drawValue(item: Item, cell: HTMLElement, { reading, layer, limit, digits, theme }: Look): void {
    const block = item.kind === "block";
    const number = block ? summary(reading, layer, item.indices)?.mean : valueAt(reading, layer, item.index);
    const known = number !== undefined && Number.isFinite(number);
    const small = cell.closest(".mp-tok-grid") !== null;
    const colour = diverging(known ? number : 0, limit, theme);
    cell.textContent = small ? "" : known ? `${block ? "mean " : ""}${signed(number, digits)}` : "–";
    cell.style.background = known ? rgb(colour) : "";
    cell.style.color = known ? inkOn(colour) : "";
    cell.dataset.value = known ? String(number) : "";
  }

  private drawWord(item: Item, cell: HTMLElement, { reading, layer, theme }: Look): void {
    const best = item.kind === "token" ? guesses(reading, layer, item.index)[0] : undefined;
    const small = item.kind === "block" || cell.closest(".mp-tok-grid") !== null;
    cell.dataset.value = best ? visible(best.word) : "";
    const share = best ? 0.9 * best.probability : 0;
    const mix = (i: 0 | 1 | 2) => Math.round(theme.zero[i] + (theme.negative[i] - theme.zero[i]) * share);
    const colour: Rgb = [mix(0), mix(1), mix(2)];
    cell.style.background = best ? rgb(colour) : "";
    cell.style.color = best ? inkOn(colour) : "";
    if (!best || small) cell.textContent = small ? "" : "–";
    else cell.replaceChildren(h("b", {}, visible(best.word)), h("small", {}, plain(best.probability, 2)));
  }

  select(positions: number[]): void {
    this.selected = positions;
    const set = new Set(positions);
    for (const { item, element } of this.cells) {
      const own = positionsOf(this.tokens, item);
      element.setAttribute("aria-selected", String(own.length > 0 && own.every((p) => set.has(p))));
    }
  }

  private indexOf(target: EventTarget | null): number {
    const element = target instanceof Element ? target.closest(".mp-tok") : null;
    return element ? this.cells.findIndex((cell) => cell.element === element) : -1;
  }

  private setHover(index: number): void {
    if (index === this.hover) return;
    this.hover = index;
    this.acts.read();
  }

  private onClick(event: MouseEvent): void {
    const index = this.indexOf(event.target);
    const item = this.cells[index]?.item;
    if (!item) return;
    this.focus(index);
    if (event.shiftKey) this.extend(this.anchor, index);
    else if (item.kind === "block") this.acts.open();
    else this.toggle(index);
  }

  private toggle(index: number): void {
    this.anchor = index;
    const own = positionsOf(this.tokens, this.cells[index]?.item);
    if (own.length) this.acts.select(toggled(this.selected, own));
  }

  private extend(from: number, to: number): void {
    const items = this.cells.map((cell) => cell.item);
    this.acts.select(joined(this.selected, spanned(this.tokens, items, from, to)));
  }

  private onKey(event: KeyboardEvent): void {
    const everything = (event.ctrlKey || event.metaKey) && event.key === "a";
    if (!everything && (event.ctrlKey || event.metaKey || event.altKey)) return;
    const to = stepped(this.at, this.cells.length, event.key);
    if (everything) this.extend(0, this.cells.length - 1);
    else if (to !== null) {
      if (event.shiftKey) this.extend(this.at, to);
      this.focus(to);
    } else if (event.key === " ") this.toggle(this.at);
    else if (event.key === "Enter" && this.cells[this.at]?.item.kind === "block") this.acts.open();
    else if (event.key === "Enter") this.toggle(this.at);
    else if (event.key === "Escape") this.acts.select([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private focus(index: number): void {
    this.at = index;
    this.rove();
    this.cells[index]?.element.focus();
  }

  /** One item takes part in the order of Tab. */
  private rove(): void {
    this.cells.forEach((cell, i) => {
      cell.element.tabIndex = i === this.at ? 0 : -1;
    });
  }
}
