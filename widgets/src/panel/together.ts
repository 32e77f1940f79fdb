/** Draws parts of a widget once for all changes that come together, such as the traits of one message. */

export class Together<Part extends string> {
  private readonly stale = new Set<Part>();

  /** `draws` are made in their order; `later` runs a call after what is running now. */
  constructor(
    private readonly draws: Record<Part, () => void>,
    private readonly later: (call: () => void) => void = (call) => queueMicrotask(call),
  ) {}

  /** Draw these parts when everything that came with this change is there. */
  ask(...parts: Part[]): void {
    const waiting = this.stale.size > 0;
    for (const part of parts) this.stale.add(part);
    if (!waiting && parts.length > 0) this.later(() => this.draw());
  }

  /** Draw all parts that wait, now. */
  private draw(): void {
    const wanted = new Set(this.stale);
    this.stale.clear();
    for (const part of Object.keys(this.draws) as Part[]) if (wanted.has(part)) this.draws[part]();
  }
}
