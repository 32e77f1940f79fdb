/** A saved page: it opens its widgets from the state in it, without a kernel and without a network. */
import { h, show, uniqueId } from "../base/dom";
import { type Link, link } from "./links";
import { type Buffers, PageModel, restored, type State } from "./page_model";
import { choose, find, missing, type Recorded, respond } from "./replay";
import { Answers, type Sweep } from "./report_answers";
import css from "./saved_page.css";
import { searchable } from "./table";
import { themes } from "./themes";
import { grow, type Node } from "./tree";

interface Saved {
  module: number;
  state: State;
  buffers: Buffers;
  recorded: Recorded;
}

interface Page {
  models: Saved[];
  mounts: { at: string; tree: Node }[];
  links: Link[];
  answers: { at: string; map: number; sweep: Sweep } | null;
}

interface Widget {
  render(context: { model: PageModel; el: HTMLElement; signal: AbortSignal }): unknown;
}

type Modules = Record<string, Widget | (() => Widget | Promise<Widget>)>;

/** A list of the settings that were run, to go to one of them. */
function chooser(model: PageModel, recorded: Recorded): HTMLElement | null {
  const labelled = recorded.recordings.filter(({ label }) => label !== "");
  if (labelled.length < 2) return null;
  const select = h("select", { id: uniqueId("recorded"), "data-testid": "recorded" });
  select.append(h("option", { value: -1 }, `choose one of ${labelled.length} recorded settings`));
  select.append(...labelled.map(({ label }, i) => h("option", { value: i }, label)));
  select.addEventListener("change", () => {
    const chosen = labelled[Number(select.value)];
    if (chosen) choose(model, chosen.when, recorded);
  });
  return h("p", { class: "page-recorded" }, h("label", { for: select.id }, "Recorded answers"), select);
}

/** Say next to the answers when those of the present setting are not on the page; what belongs to them is hidden then. */
function sayMissing(model: PageModel, recorded: Recorded, el: HTMLElement): void {
  const answers = el.querySelector(".mp-live");
  if (!model.has("answers") || !answers) return;
  const note = h("p", { class: "page-unrecorded", role: "status", "data-testid": "unrecorded" });
  answers.before(note);
  const draw = () => {
    const there = find(recorded, model.get) !== undefined;
    el.toggleAttribute("data-unrecorded", !there);
    note.textContent = there ? "" : missing(recorded);
    show(note, !there);
  };
  model.on("change", draw);
  draw();
}

async function open(saved: Saved, model: PageModel, modules: Modules, place: HTMLElement): Promise<void> {
  const list = chooser(model, saved.recorded);
  if (list) place.append(list);
  const el = h("div");
  place.append(el);
  try {
    const module = modules[saved.module];
    const widget = typeof module === "function" ? await module() : module;
    await widget?.render({ model, el, signal: new AbortController().signal });
    sayMissing(model, saved.recorded, el);
  } catch (error) {
    console.error(error);
    el.append(h("p", { class: "page-broken", role: "alert" }, "This widget could not be opened in this browser."));
  }
}

async function start(): Promise<void> {
  document.head.append(h("style", {}, themes() + css));
  const page = JSON.parse(document.getElementById("mp-page")?.textContent ?? "{}") as Page;
  const modules = (globalThis as { mpModules?: Modules }).mpModules ?? {};
  for (const { state, buffers, recorded } of page.models) {
    restored(state, buffers);
    for (const { shown, buffers } of recorded.recordings) restored(shown, buffers);
  }
  const recorded = page.models.map((saved) => saved.recorded);
  const models = page.models.map(
    (saved) => new PageModel(saved.state, (model, asked) => respond(model, asked, saved.recorded)),
  );
  const opening: Promise<void>[] = [];
  for (const { at, tree } of page.mounts) {
    const fill = (index: number, place: HTMLElement) => {
      const [saved, model] = [page.models[index], models[index]];
      if (saved && model) opening.push(open(saved, model, modules, place));
    };
    document.getElementById(at)?.replaceChildren(grow(tree, fill));
  }
  link(models, recorded, page.links);
  const place = document.getElementById(page.answers?.at ?? "");
  const map = models[page.answers?.map ?? -1];
  if (page.answers && place && map) new Answers(page.answers.sweep, map, place);
  searchable(document);
  await Promise.all(opening);
  document.documentElement.dataset.ready = "true";
}

export default start;
