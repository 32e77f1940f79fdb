/** Pinned answers beside the live ones, each with its setting, to go back to or to remove. */
import { h } from "../base/dom";
import { dose, words } from "../base/numbers";
import { still } from "./rows";
import type { Pin, Settings } from "./setting";

export interface PinAsks {
  use(setting: Settings): void;
  remove(id: number): void;
}

const signed = (value: number) => (value > 0 ? "+" : "") + dose(value);

/** A setting in one line: cat +1 and neon +½ · layers 3–5 · last token. */
export function said(setting: Settings, scopes: readonly [string, string][]): string {
  const { concept, second, window, scope } = setting;
  const concepts = [`${words(concept)} ${signed(setting.strength)}`];
  if (second) concepts.push(`${words(second)} ${signed(setting.second_strength)}`);
  const [first, last] = window;
  const layers = first === last ? `layer ${first}` : `layers ${first}–${last}`;
  const tokens = scopes.find(([value]) => value === scope)?.[1] ?? scope;
  return [concepts.join(" and "), layers, tokens, `seed ${setting.seed}`].join(" · ");
}

/** A card for each pin. */
export function cards(pins: readonly Pin[], scopes: readonly [string, string][], asks: PinAsks): HTMLElement[] {
  return pins.map((pin) => {
    const line = said(pin.setting, scopes);
    const use = h("button", { type: "button", "aria-label": `use the pinned setting ${line}` }, "Use");
    const remove = h("button", { type: "button", "aria-label": `remove the pinned setting ${line}` }, "Remove");
    use.addEventListener("click", () => asks.use(pin.setting));
    remove.addEventListener("click", () => asks.remove(pin.id));
    const about = h("p", { class: "mp-note" }, `${pin.picture} · “${pin.setting.prompt}”`);
    const head = h("div", { class: "mp-pin-head" }, h("b", {}, line), use, remove);
    const label = { class: "mp-pin", "data-testid": "pin", role: "group", "aria-label": `pinned: ${line}` };
    return h("div", label, head, about, ...still(pin));
  });
}
