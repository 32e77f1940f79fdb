/** Replaces the kernel on a saved page: recorded settings with their results. */
import type { Asked, Buffers, PageModel, State } from "./page_model";

export interface Recording {
  label: string;
  when: State;
  shown: State;
  buffers: Buffers;
}

export interface Recorded {
  /** Traits that make up a setting. */
  keys: string[];
  recordings: Recording[];
}

const NO_KERNEL = "This is a saved page without a kernel: that needs the notebook.";

/** Whether two plain values are the same. */
const same = (a: unknown, b: unknown) => Object.is(a, b) || JSON.stringify(a) === JSON.stringify(b);

/** The newest recording of the setting that `get` tells. */
export function find({ keys, recordings }: Recorded, get: (name: string) => unknown): Recording | undefined {
  return [...recordings].reverse().find(({ when }) => keys.every((key) => same(when[key], get(key))));
}

/** A moved layer makes a window of one, and a window's first is the layer, as in the kernel. */
export function following(state: State): State {
  const window = state.window;
  if (Array.isArray(window)) {
    const sorted = [...window].sort((a, b) => a - b);
    return { ...state, window: sorted, layer: sorted[0] };
  }
  return "layer" in state ? { ...state, window: [state.layer, state.layer] } : state;
}

/** What is said next to the answers of a setting that was not recorded. */
export function missing({ recordings }: Recorded): string {
  const listed = recordings.filter(({ label }) => label !== "").length;
  const count = listed || recordings.length;
  if (count === 0) return "No settings were recorded on this page.";
  const held = count === 1 ? "One recorded setting is" : `${count} recorded settings are`;
  return `This setting was not recorded. ${held} ${listed > 1 ? "listed above" : "on this page"}.`;
}

/** What a panel shows of a setting that was not recorded: nothing of any other setting. */
const NOTHING = { receipt: [], rate: 0, code: "", doses: [], safe_low: 0, safe_high: 0, advice: "" };

/** Show what was recorded for the model's present setting, or nothing; a widget without answers says so in its message. */
export function replay(model: PageModel, recorded: Recorded): void {
  const found = find(recorded, model.get);
  const state: State = { ...found?.shown };
  const answers = model.has("answers");
  if (model.has("message")) state.message = found || answers ? "" : missing(recorded);
  if (answers) {
    const before = model.get("answers") as { generation?: number };
    const numbers = { generation: (before.generation ?? 0) + 1, serial: model.get("serial") ?? 0 };
    state.answers = { ...(found?.shown.answers as object | undefined), ...numbers };
    if (!found) Object.assign(state, NOTHING);
  }
  model.take(state);
}

/** A move from elsewhere: to the newest recording that it allows where the present setting, so moved, has none. */
export function nearest(model: PageModel, moved: State, recorded: Recorded): State {
  const state = following(moved);
  if (find(recorded, (name) => (name in state ? state[name] : model.get(name)))) return moved;
  const allows = ({ when }: Recording) => Object.entries(state).every(([name, value]) => same(when[name], value));
  return [...recorded.recordings].reverse().find(allows)?.when ?? moved;
}

/** Cells of a map that steered these tokens, as concept, layer and strength, whose answers a panel's recordings hold. */
export function answeredCells({ recordings }: Recorded, scope: unknown): [unknown, unknown, unknown][] {
  const single = ({ when }: Recording) =>
    when.second === "" && same(when.window, [when.layer, when.layer]) && (!scope || when.scope === scope);
  return recordings.filter(single).map(({ when }) => [when.concept, when.layer, when.strength]);
}

/** Answer a view in the kernel's place. */
export function respond(model: PageModel, asked: Asked, recorded: Recorded): void {
  if (asked.kind === "saved") {
    if (recorded.keys.some((key) => asked.names.includes(key))) replay(model, recorded);
    return;
  }
  const content = asked.content as { kind?: string; state?: State } | null;
  if (content?.kind === "set") choose(model, content.state ?? {}, recorded);
  else if (content?.kind !== "cancel" && content?.kind !== "show" && model.has("message"))
    model.take({ message: NO_KERNEL });
}

/** Set controls and show what was recorded for them; controls that are part of no setting only move. */
export function choose(model: PageModel, state: State, recorded: Recorded): void {
  const known = Object.entries(following(state)).filter(([name]) => model.has(name));
  model.take(Object.fromEntries(known));
  if (known.some(([name]) => recorded.keys.includes(name))) replay(model, recorded);
}
