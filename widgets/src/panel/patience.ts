/** Says that a kernel has not answered a move for a while: first as busy, then as perhaps gone. */

const SAYS = [
  { after: 700, text: "the kernel is busy; waiting for it …" },
  { after: 20_000, text: "no answer from the kernel: it is busy, or was restarted (then run the cell again)" },
];

export class Patience {
  private timers: ReturnType<typeof setTimeout>[] = [];

  constructor(private readonly say: (text: string) => void) {}

  /** A move was made; what was waited for before does not matter any more. */
  begin(): void {
    this.end();
    this.timers = SAYS.map(({ after, text }) => setTimeout(() => this.say(text), after));
  }

  end(): void {
    this.timers.forEach(clearTimeout);
    this.timers = [];
  }
}
