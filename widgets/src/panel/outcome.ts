/** What a panel's last run came to: its status and rate, the buttons that depend on it, errors, receipt and code. */
import type { AnyModel } from "@anywidget/types";
import { h, show } from "../dom";
import { plain } from "../format";
import { CodeFold, ReceiptFold } from "./folds";
import type { Traits } from "./types";

/** What is shown of a status. A notebook that was saved while its kernel was at work would say so for ever. */
export const statusOf = (saved: string, alive: boolean): string =>
  saved === "running" && !alive ? "cancelled" : saved;

export class Outcome {
  readonly status = h("span", { class: "mp-pill", role: "status", "data-testid": "status" });
  readonly rate = h("span", { class: "mp-rate", "data-testid": "rate" });
  readonly stop = h("button", { type: "button", "data-testid": "stop" });
  readonly pin = h("button", { type: "button", "data-testid": "pin-setting" }, "Pin");
  readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "error" });
  readonly receipt = new ReceiptFold();
  readonly code = new CodeFold();

  /** Draw it; `alive` is whether somebody can run or pin anything. */
  draw(model: AnyModel<Traits>, alive: boolean): void {
    const status = statusOf(model.get("status"), alive);
    const running = status === "running";
    this.status.textContent = status;
    this.status.dataset.state = status;
    this.stop.textContent = running ? "Stop" : "Run again";
    this.stop.disabled = !alive || model.get("concepts").length === 0;
    this.pin.disabled = !alive || status !== "idle" || model.get("code") === "";
    const rate = model.get("rate");
    if (!running) this.rate.textContent = rate > 0 ? `${plain(rate, rate < 10 ? 1 : 0)} tokens/s` : "";
    this.complain(model.get("message"));
    this.receipt.draw(model.get("receipt"));
    this.code.draw(model.get("code"));
  }

  complain(message: string): void {
    this.error.textContent = message;
    show(this.error, message !== "");
  }
}
