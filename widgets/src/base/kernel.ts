/** Notes on a widget that it has no kernel: a notebook opened again, or a kernel that was restarted. */
import { h, show } from "./dom";

const SAVED = "No kernel is connected. Showing the saved state; rerun the cell to continue.";
const LOST = "Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";

/** The part of ipywidgets' models that tells whether their kernel is there; other hosts have none of it. */
export interface Live {
  comm_live: boolean;
  on(name: string, call: () => void): void;
  off(name: string, call: () => void): void;
}

/** What tells whether a widget's kernel is there: its layout's model, since anywidget hands out its own model's data only. */
export function liveness(model: { get(name: string): unknown }): Live | null {
  const layout = model.get("layout") as Partial<Live> | null | undefined;
  return typeof layout?.comm_live === "boolean" && layout.on && layout.off ? (layout as Live) : null;
}

/** What is said, given whether the kernel is there and ever was. */
export function note(live: boolean, was: boolean): string {
  return live ? "" : was ? LOST : SAVED;
}

/** Put a note at the head of a widget while its kernel is away; returns the way to stop. */
export function watchKernel(model: { get(name: string): unknown }, root: Element | null): () => void {
  const live = liveness(model);
  if (!live || !root) return () => {};
  const said = h("p", { class: "mp-kernel", role: "status", "data-testid": "no-kernel" });
  root.prepend(said);
  let was = live.comm_live;
  const draw = () => {
    was ||= live.comm_live;
    said.textContent = note(live.comm_live, was);
    show(said, !live.comm_live);
  };
  live.on("comm_live_update", draw);
  draw();
  return () => live.off("comm_live_update", draw);
}

/** A widget's `render` that also says when it has no kernel. */
export function withKernelNote<P extends { model: unknown; el: HTMLElement }>(
  render: (props: P) => (() => void) | undefined,
): (props: P) => () => void {
  return (props) => {
    const close = render(props);
    const stop = watchKernel(props.model as { get(name: string): unknown }, props.el.firstElementChild);
    return () => {
      stop();
      close?.();
    };
  };
}
