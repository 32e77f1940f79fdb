/** Keys of the lab, one table: what they do there, and the sheet that lists them. */
import { h } from "../base/dom";

export interface Key {
  /** As `KeyboardEvent.key` has it. */
  key: string;
  /** Ctrl or Command with it. */
  ctrl?: boolean;
  shift?: boolean;
  says: string;
  /** What is pressed, or, where it is a field, given the focus. */
  at: string;
}

const test = (id: string) => `[data-testid="${id}"]`;

export const KEYS: readonly Key[] = [
  { key: "z", ctrl: true, says: "undo", at: test("undo") },
  { key: "z", ctrl: true, shift: true, says: "redo", at: test("redo") },
  { key: "/", says: "find a concept", at: test("find") },
  { key: "l", says: "to the layer", at: test("layer") },
  { key: "d", says: "to the dose", at: test("strength") },
  { key: "t", says: "tokens that are steered", at: test("tokens") },
  { key: "*", says: "recommended setting of the concept", at: test("recommended") },
  { key: "s", says: "surprise: the recommended setting of another concept", at: test("surprise") },
  { key: "q", says: "to the prompt", at: test("prompt") },
  { key: "i", says: "open or draw an image", at: test("image") },
  { key: "p", says: "pin the answers", at: test("pin-setting") },
  { key: "m", says: "second concept, words that count, receipt, code, projector", at: test("more") },
  { key: "w", says: "why this verdict", at: test("why") },
  { key: "h", says: "to the map", at: test("heatmap") },
  ...["map", "pairs", "tokens", "patches", "study", "sweep", "code"].map((name, i) => ({
    key: String(i + 1),
    says: `tab: ${name}`,
    at: test(`tab-${name}`),
  })),
  { key: "?", says: "this sheet", at: test("help") },
];

const OTHERS = [
  ["r", "reveal the steered answer (projector)"],
  ["arrows, Home, End, Page up, Page down", "on the map: move; with Shift a window of layers"],
  ["+ −", "on the map: dose"],
  ["Escape", "close what is open; on the map back to one cell"],
] as const;

const writes = (at: Element) =>
  at.matches('select, textarea, input:not([type="range"], [type="radio"], [type="checkbox"])');

/** The entry of the table that an event asks for; keys without Ctrl mean nothing where text is written. */
export function keyOf(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey" | "target">) {
  const ctrl = event.ctrlKey || event.metaKey;
  if (event.altKey || (event.target instanceof Element && writes(event.target))) return undefined;
  const key = event.key.toLowerCase();
  return KEYS.find((one) => one.key === key && !!one.ctrl === ctrl && (!one.ctrl || !!one.shift === event.shiftKey));
}

/** Do what a key asks for within a lab; whether there was anything to do. */
export function act(key: Key, lab: Element): boolean {
  const found = [...lab.querySelectorAll<HTMLElement>(key.at)].find((element) => element.checkVisibility());
  if (!found) return false;
  if (found.matches("input, canvas, select")) found.focus();
  else found.click();
  return true;
}

/** The dialog that lists all keys; the browser closes it by Escape and gives the focus back. */
export function sheet(): HTMLDialogElement {
  const name = ({ key, ctrl, shift }: Key) => `${ctrl ? "Ctrl-" : ""}${shift ? "Shift-" : ""}${key.toUpperCase()}`;
  const rows = [...KEYS.map((key) => [name(key), key.says] as const), ...OTHERS];
  const list = h("dl", {}, ...rows.flatMap(([key, says]) => [h("dt", {}, key), h("dd", {}, says)]));
  const close = h("button", { type: "button" }, "Close");
  const dialog = h("dialog", { class: "mp-keys", "data-testid": "keys", "aria-label": "keys of the lab" });
  dialog.append(h("b", {}, "Keys, while the lab has the focus"), list, close);
  close.addEventListener("click", () => dialog.close());
  return dialog;
}
