/** What a panel's last run came to: its status and rate, the buttons that depend on it, receipt and code. */
import type { AnyModel } from "@anywidget/types";
import { h } from "../base/dom";
import { plain } from "../base/numbers";
import { CodeFold, ReceiptFold } from "./sections";
import type { Traits } from "./setting";

/** What is shown of a status: a notebook that was saved while its kernel worked would say so for ever. */
export function statusOf(saved: string, alive: boolean, activity = ""): string {
  if (!alive) return saved === "running" ? "cancelled" : saved;
  return saved === "idle" && activity !== "" ? "running" : saved;
}

export class Outcome {
  readonly status = h("span", { role: "status", "data-testid": "status" });
  readonly activity = h("span", { class: "mp-activity", "data-testid": "activity" });
  readonly pill = h("span", { class: "mp-pill" }, this.status, this.activity);
  readonly rate = h("span", { class: "mp-rate", "data-testid": "rate" });
  readonly stop = h("button", { type: "button", "data-testid": "stop" });
  readonly pin = h("button", { type: "button", "data-testid": "pin-setting" }, "Pin");
  readonly receipt = new ReceiptFold();
  readonly code = new CodeFold();

  /** Draw it; `alive` is whether somebody can run or pin anything. */
  draw(model: AnyModel<Traits>, alive: boolean): void {
    const running = model.get("status") === "running" && alive;
    const activity = alive ? model.get("activity") : "";
    const status = statusOf(model.get("status"), alive, activity);
    if (this.status.textContent !== status) this.status.textContent = status;
    this.activity.textContent = activity;
    this.pill.dataset.state = status;
    this.stop.textContent = running ? "Stop" : "Run again";
    this.stop.disabled = !alive;
    this.pin.disabled = !alive || model.get("status") !== "idle" || model.get("code") === "";
    const rate = model.get("rate");
    if (!running) this.rate.textContent = rate > 0 ? `${plain(rate, rate < 10 ? 1 : 0)} tokens/s` : "";
    this.receipt.draw(model.get("receipt"));
    this.code.draw(model.get("code"));
  }
}
