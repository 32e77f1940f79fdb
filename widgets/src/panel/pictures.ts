/** The image being asked about, the small ones to choose from, and the ways to bring another: open, drop, paste, draw. */
import { h, show, uniqueId } from "../base/dom";

export interface Picture {
  label: string;
  png: DataView;
}

export interface Asks {
  /** One of the images was chosen. */
  pick(index: number): void;
  /** A file was opened, dropped or pasted. */
  bring(file: File): void;
  /** A new scene is wanted. */
  draw(seed: number): void;
}

export class Gallery {
  readonly element: HTMLElement;
  private readonly large = h("img", { class: "mp-picture", "data-testid": "picture" });
  private readonly caption = h("figcaption", { class: "mp-note" });
  private readonly figure = h("figure", {
    class: "mp-figure",
    tabindex: 0,
    "data-testid": "drop",
    "aria-label": "Image. Drop or paste another one here.",
  });
  private readonly thumbs = h("div", { class: "mp-thumbs", role: "radiogroup", "aria-label": "choose an image" });
  private readonly file = h("input", { type: "file", accept: "image/*", "data-testid": "upload", hidden: true });
  private readonly seed = h("input", { type: "number", min: 0, step: 1, "data-testid": "scene-seed" });
  private urls: string[] = [];
  private pictures: Picture[] = [];

  /** Ways to bring another image. */
  readonly tools: HTMLElement;

  /** Draw it with a place for what was wrong with an image; `compact` leaves the tools to whoever draws it. */
  constructor(
    private readonly asks: Asks,
    place: HTMLElement,
    compact = false,
  ) {
    this.file.setAttribute("aria-label", "open an image file");
    const open = h("button", { type: "button", "data-testid": "open" }, "Open…");
    const draw = h("button", { type: "button", "data-testid": "new-scene" }, "New scene");
    this.seed.id = uniqueId("seed");
    const label = h("label", { for: this.seed.id, class: "mp-note" }, "seed");
    this.tools = h("div", { class: "mp-tools" }, open, draw, h("span", { class: "mp-pair" }, label, this.seed));
    this.figure.append(this.large, h("span", { class: "mp-drop", "aria-hidden": "true" }, "drop an image"));
    this.element = h("div", {}, this.figure, this.caption, this.file);
    if (compact) this.element.append(this.thumbs);
    else this.element.append(this.tools, place, this.thumbs);
    this.thumbs.addEventListener("keydown", (event) => this.onKey(event));
    open.addEventListener("click", () => this.file.click());
    draw.addEventListener("click", () => this.asks.draw(Math.max(0, Math.round(Number(this.seed.value)) || 0)));
    this.file.addEventListener("change", () => {
      this.bring(this.file.files);
      this.file.value = "";
    });
  }

  /** Take files that are dropped or pasted anywhere on the widget. */
  listen(root: HTMLElement): void {
    const has = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    root.addEventListener("dragover", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      event.stopPropagation();
      this.figure.dataset.over = "true";
    });
    root.addEventListener("dragleave", (event) => {
      if (!root.contains(event.relatedTarget as Node | null)) delete this.figure.dataset.over;
    });
    root.addEventListener("drop", (event) => {
      delete this.figure.dataset.over;
      if (has(event)) this.take(event, event.dataTransfer?.files);
    });
    root.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) this.take(event, event.clipboardData.files);
    });
  }

  private take(event: Event, files: FileList | undefined): void {
    event.preventDefault();
    event.stopPropagation();
    this.bring(files ?? null);
  }

  private bring(files: FileList | null): void {
    const file = files?.[0];
    if (file) this.asks.bring(file);
  }

  fill(pictures: Picture[], nextSeed: number): void {
    if (document.activeElement !== this.seed) this.seed.value = String(nextSeed);
    if (pictures === this.pictures) return;
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
      button.addEventListener("click", () => this.asks.pick(i));
      return button;
    });
    this.thumbs.replaceChildren(...buttons);
    show(this.thumbs, buttons.length > 1);
  }

  choose(index: number): void {
    const url = this.urls[index];
    const label = this.pictures[index]?.label ?? "";
    show(this.large, url !== undefined);
    if (url !== undefined && this.large.src !== url) this.large.src = url;
    this.large.alt = label;
    this.caption.textContent = label;
    this.caption.title = label;
    [...this.thumbs.children].forEach((thumb, i) => {
      thumb.setAttribute("aria-checked", String(i === index));
      (thumb as HTMLElement).tabIndex = i === index ? 0 : -1;
    });
    this.bringIntoView(this.thumbs.children[index] as HTMLElement | undefined);
  }

  /** Scroll the small images alone, not the notebook. */
  private bringIntoView(thumb: HTMLElement | undefined): void {
    if (!thumb) return;
    const top = thumb.offsetTop - this.thumbs.offsetTop;
    const hidden =
      top < this.thumbs.scrollTop || top + thumb.offsetHeight > this.thumbs.scrollTop + this.thumbs.clientHeight;
    if (hidden) this.thumbs.scrollTop = top - 4;
  }

  private onKey(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = [...this.thumbs.children].indexOf(event.target as Element);
    if (by === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const to = Math.max(0, Math.min(this.urls.length - 1, at + by));
    this.asks.pick(to);
    (this.thumbs.children[to] as HTMLElement | undefined)?.focus();
  }

  close(): void {
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
    this.pictures = [];
  }
}
