/** A widget's model without a kernel: its saved state, its listeners, and whoever answers in the kernel's place. */

export type State = Record<string, unknown>;
type Listener = (...values: unknown[]) => void;

/** What a view did that would have gone to the kernel. */
export type Asked = { kind: "saved"; names: string[] } | { kind: "sent"; content: unknown };

export class PageModel {
  /** No widget manager: nothing can be looked up, and views can tell that no kernel is meant to be there. */
  readonly widget_manager = null;
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly unsaved = new Set<string>();

  constructor(
    private readonly state: State,
    private readonly answer: (model: PageModel, asked: Asked) => void = () => {},
  ) {}

  get = (name: string): unknown => this.state[name];

  has = (name: string): boolean => name in this.state;

  set = (name: string | State, value?: unknown): void => {
    const given = typeof name === "string" ? { [name]: value } : name;
    for (const changed of this.take(given)) this.unsaved.add(changed);
  };

  save_changes = (): void => {
    const names = [...this.unsaved];
    this.unsaved.clear();
    if (names.length > 0) this.answer(this, { kind: "saved", names });
  };

  send = (content: unknown): void => {
    this.unsaved.clear();
    this.answer(this, { kind: "sent", content });
  };

  on = (names: string, listener: Listener): void => {
    for (const name of names.split(" ")) {
      const known = this.listeners.get(name) ?? new Set();
      this.listeners.set(name, known.add(listener));
    }
  };

  off = (names?: string | null, listener?: Listener | null): void => {
    if (!names) this.listeners.clear();
    for (const name of names?.split(" ") ?? []) {
      if (listener) this.listeners.get(name)?.delete(listener);
      else this.listeners.delete(name);
    }
  };

  /** Take a state as if it had come from the kernel; says which traits changed. */
  take(state: State): string[] {
    const changed = Object.keys(state).filter((name) => !Object.is(this.state[name], state[name]));
    Object.assign(this.state, state);
    for (const name of changed) this.emit(`change:${name}`, state[name]);
    if (changed.length > 0) this.emit("change");
    return changed;
  }

  private emit(name: string, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) listener(this, ...values);
  }
}

/** Bytes of a base64 text, as widgets get them from a kernel. */
export function bytes(base64: string): DataView {
  const text = atob(base64);
  return new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
}

/** Binary values of a state: for each its path and its base64 text. */
export type Buffers = [(string | number)[], string][];

/** Put binary values back where they were taken from. */
export function restored(state: State, buffers: Buffers): State {
  for (const [path, text] of buffers) {
    let place = state as Record<string | number, unknown>;
    for (const step of path.slice(0, -1)) place = place[step] as Record<string | number, unknown>;
    const last = path.at(-1);
    if (last !== undefined) place[last] = bytes(text);
  }
  return state;
}
