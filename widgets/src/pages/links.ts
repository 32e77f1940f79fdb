/** Models of a page that move together, where the kernel would have linked them. */
import type { PageModel, State } from "./page_model";
import { answeredCells, choose, nearest, type Recorded } from "./replay";

export interface Link {
  from: number;
  to: number;
  names: string[];
}

/** Values that a model offers to choose from, by the trait that is chosen. */
const OFFERED: Record<string, string> = { concept: "concepts", layer: "layers" };

function offers(model: PageModel, state: State): boolean {
  return Object.entries(state).every(([name, value]) => {
    const list = model.get(OFFERED[name] ?? "");
    return !Array.isArray(list) || list.includes(value);
  });
}

/** Pass the selection of one model on to another, not back again; a map marks the cells whose answers a panel holds. */
export function link(models: PageModel[], recorded: Recorded[], links: Link[]): void {
  let passing = false;
  for (const { from, to, names } of links) {
    const [source, target, own] = [models[from], models[to], recorded[to]];
    if (!source || !target || !own) continue;
    if (source.has("answered") && target.has("answers"))
      source.take({ answered: answeredCells(own, source.get("scope")) });
    const pass = () => {
      const state = Object.fromEntries(names.map((name) => [name, source.get(name)]));
      const moved = Object.fromEntries(Object.entries(state).filter(([name, value]) => target.get(name) !== value));
      if (passing || Object.keys(moved).length === 0 || !offers(target, moved)) return;
      passing = true;
      try {
        choose(target, target.has("answers") ? nearest(target, state, own) : moved, own);
      } finally {
        passing = false;
      }
    };
    for (const name of names) source.on(`change:${name}`, pass);
  }
}
