/** What stands in for the kernel on a page: settings that were run, and what came out. */
import type { Asked, Buffers, PageModel, State } from "./model";

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

/** What a person is told where a setting was not run. */
export function missing({ recordings }: Recorded): string {
  const count = recordings.length;
  if (count === 0) return "This is a saved page without a kernel, and it holds no other setting.";
  const held = count === 1 ? "one that was is" : `${count} that were are`;
  return `This is a saved page without a kernel: this setting was not run; ${held} in it.`;
}

/** Show what was recorded for the model's present setting, or say that nothing was. */
export function replay(model: PageModel, recorded: Recorded): void {
  const found = find(recorded, model.get);
  const state: State = { ...found?.shown };
  if (model.has("message")) state.message = found ? "" : missing(recorded);
  if (model.has("answers")) {
    const before = model.get("answers") as { generation?: number };
    const numbers = { generation: (before.generation ?? 0) + 1, serial: model.get("serial") ?? 0 };
    state.answers = { ...(found?.shown.answers as object | undefined), ...numbers };
    if (!found) Object.assign(state, { receipt: [], rate: 0, code: "" });
  }
  model.take(state);
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

/** Set controls and show what was recorded for them. */
export function choose(model: PageModel, state: State, recorded: Recorded): void {
  const known = Object.entries(following(state)).filter(([name]) => model.has(name));
  model.take(Object.fromEntries(known));
  replay(model, recorded);
}
