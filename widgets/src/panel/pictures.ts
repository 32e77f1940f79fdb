/** The picture being asked about, and the small ones to choose from. */
import { h } from "../dom";

export interface Picture {
  label: string;
  png: DataView;
}

export class Gallery {
  readonly element: HTMLElement;
  private readonly large = h("img", { class: "mp-picture", "data-testid": "picture" });
  private readonly thumbs = h("div", { class: "mp-thumbs", role: "radiogroup", "aria-label": "choose a picture" });
  private urls: string[] = [];
  private pictures: Picture[] = [];

  constructor(private readonly pick: (index: number) => void) {
    this.element = h("div", {}, this.large, this.thumbs);
    this.thumbs.addEventListener("keydown", (event) => this.onKey(event));
  }

  fill(pictures: Picture[]): void {
    this.close();
    this.pictures = pictures;
    this.urls = pictures.map(({ png }) =>
      URL.createObjectURL(new Blob([png as DataView<ArrayBuffer>], { type: "image/png" })),
    );
    const buttons = pictures.map((picture, i) => {
      const image = h("img", { src: this.urls[i], alt: "" });
      const button = h(
        "button",
        { type: "button", role: "radio", "aria-label": picture.label, title: picture.label },
        image,
      );
      button.addEventListener("click", () => this.pick(i));
      return button;
    });
    this.thumbs.replaceChildren(...buttons);
    this.thumbs.hidden = buttons.length < 2;
  }

  choose(index: number): void {
    const url = this.urls[index];
    this.large.hidden = url === undefined;
    if (url !== undefined && this.large.src !== url) this.large.src = url;
    this.large.alt = this.pictures[index]?.label ?? "";
    [...this.thumbs.children].forEach((thumb, i) => {
      thumb.setAttribute("aria-checked", String(i === index));
      (thumb as HTMLElement).tabIndex = i === index ? 0 : -1;
    });
  }

  private onKey(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = [...this.thumbs.children].indexOf(event.target as Element);
    if (by === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const to = Math.max(0, Math.min(this.urls.length - 1, at + by));
    this.pick(to);
    (this.thumbs.children[to] as HTMLElement | undefined)?.focus();
  }

  close(): void {
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
  }
}
