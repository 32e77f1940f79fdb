import { describe, expect, it } from "vitest";
import { link } from "../src/pages/links";
import { type Asked, bytes, PageModel, restored } from "../src/pages/page_model";
import { choose, find, following, missing, type Recorded, respond } from "../src/pages/replay";
import { numbers, placeOf, position, type Sweep, search } from "../src/pages/report_answers";
import { holds } from "../src/pages/table";

const recording = (label: string, when: object, shown: object) => ({
  label,
  when: { ...when },
  shown: { ...shown },
  buffers: [],
});
const recorded: Recorded = {
  keys: ["concept", "layer", "window"],
  recordings: [
    recording("cat", { concept: "cat", layer: 3, window: [3, 3] }, { answers: { steered: "a cat", serial: 9 } }),
    recording("dog", { concept: "dog", layer: 3, window: [3, 3] }, { answers: { steered: "a dog", serial: 2 } }),
  ],
};
const panel = () =>
  new PageModel(
    { concept: "cat", layer: 3, window: [3, 3], answers: { generation: 4, serial: 1 }, serial: 1, message: "" },
    (model, asked) => respond(model, asked, recorded),
  );

describe("a model without a kernel", () => {
  it("tells listeners of changes only, until they leave", () => {
    const model = new PageModel({ layer: 1 });
    const seen: unknown[] = [];
    const listen = (_model: unknown, value: unknown) => seen.push(value);
    model.on("change:layer", listen);
    model.set("layer", 1);
    model.set({ layer: 2 });
    model.off("change:layer", listen);
    model.set("layer", 3);
    expect(seen).toEqual([2]);
  });
  it("says what a view saved, once", () => {
    const asked: Asked[] = [];
    const model = new PageModel({ layer: 1, concept: "cat" }, (_model, one) => asked.push(one));
    model.set("layer", 2);
    model.save_changes();
    model.save_changes();
    expect(asked).toEqual([{ kind: "saved", names: ["layer"] }]);
  });
  it("gets its binary values back, also inside lists", () => {
    const state = restored({ values: null, pictures: [{ png: null }] }, [
      [["values"], "AAAAAA=="],
      [["pictures", 0, "png"], "/w=="],
    ]);
    expect((state.values as DataView).byteLength).toBe(4);
    expect((state.pictures as { png: DataView }[])[0]?.png.getUint8(0)).toBe(255);
  });
  it("reads base64 as bytes", () => {
    expect([...new Uint8Array(bytes("AQID").buffer)]).toEqual([1, 2, 3]);
  });
});

describe("recorded settings", () => {
  it("are found by their values, the newest first", () => {
    const twice = {
      ...recorded,
      recordings: [...recorded.recordings, recording("again", { ...recorded.recordings[0]?.when }, {})],
    };
    const state: Record<string, unknown> = { concept: "cat", layer: 3, window: [3, 3] };
    expect(find(twice, (name) => state[name])?.label).toBe("again");
    expect(find(recorded, (name) => ({ ...state, layer: 4 })[name])).toBeUndefined();
  });
  it("let a layer and its window follow each other", () => {
    expect(following({ layer: 5 })).toEqual({ layer: 5, window: [5, 5] });
    expect(following({ window: [6, 2] })).toEqual({ window: [2, 6], layer: 2 });
    expect(following({ concept: "cat" })).toEqual({ concept: "cat" });
  });
  it("are shown as the newest generation of the newest move", () => {
    const model = panel();
    model.set("serial", 2);
    model.send({ kind: "set", serial: 2, state: { concept: "dog" } });
    expect(model.get("answers")).toEqual({ steered: "a dog", generation: 5, serial: 2 });
    expect(model.get("message")).toBe("");
  });
  it("leave no old answer beside a setting that was not run", () => {
    const model = panel();
    model.send({ kind: "set", serial: 2, state: { layer: 7 } });
    expect(model.get("window")).toEqual([7, 7]);
    expect(model.get("answers")).toEqual({ generation: 5, serial: 1 });
    expect(model.get("message")).toBe("");
    expect([model.get("doses"), model.get("safe_high"), model.get("advice")]).toEqual([[], 0, ""]);
    expect(missing(recorded)).toBe("This setting was not recorded. 2 recorded settings are listed above.");
  });
  it("do not take traits that the widget does not have", () => {
    const model = panel();
    model.send({ kind: "set", serial: 2, state: { concept: "dog", evil: 1 } });
    expect(model.has("evil")).toBe(false);
  });
  it("keep their spans: what counts as naming is edited in the notebook", () => {
    const model = panel();
    model.send({ kind: "naming", state: { words: { cat: ["dog"] } } });
    expect(model.get("answers")).toEqual({ generation: 4, serial: 1 });
    expect(model.has("words")).toBe(false);
    expect(model.get("message")).toContain("that needs the notebook");
  });
  it("say that other wishes need the notebook", () => {
    const model = panel();
    model.send({ kind: "pin" });
    expect(model.get("message")).toContain("that needs the notebook");
    expect(missing({ keys: [], recordings: [] })).toBe("No settings were recorded on this page.");
  });
  it("answer a chooser that saves its choice", () => {
    const model = panel();
    model.set("concept", "dog");
    model.save_changes();
    expect((model.get("answers") as { steered: string }).steered).toBe("a dog");
  });
});

describe("links", () => {
  it("mark the cells of a map whose answers a panel holds, and choose the newest recording of a cell", () => {
    const whole = (concept: string, picture: number) => ({
      ...{ concept, layer: 3, window: [3, 3], strength: 1, second: "", picture },
    });
    const held = {
      keys: ["concept", "layer", "window", "strength", "second", "picture"],
      recordings: [recording("a", whole("cat", 0), {}), recording("b", whole("dog", 1), { rate: 2 })],
    };
    const map = new PageModel({ concept: "cat", layer: 3, strength: 1, concepts: ["cat", "dog"], answered: [] });
    const shown = new PageModel({ ...whole("cat", 0), concepts: ["cat", "dog"], answers: {}, rate: 0, serial: 0 });
    link(
      [map, shown],
      [{ keys: [], recordings: [] }, held],
      [{ from: 0, to: 1, names: ["concept", "layer", "strength"] }],
    );
    expect(map.get("answered")).toEqual([
      ["cat", 3, 1],
      ["dog", 3, 1],
    ]);
    map.take({ concept: "dog" });
    expect([shown.get("concept"), shown.get("picture"), shown.get("rate")]).toEqual(["dog", 1, 2]);
    map.take({ strength: 2 });
    expect([shown.get("strength"), shown.get("rate")]).toEqual([2, 0]);
  });
  it("pass a selection on and never back, and only what the other offers", () => {
    const map = new PageModel({ concept: "cat", layer: 3, concepts: ["cat", "dog", "new"], layers: [3, 4] });
    const other = new PageModel({ concept: "cat", layer: 3, concepts: ["cat", "dog"], layers: [3, 4] });
    const none: Recorded = { keys: [], recordings: [] };
    const names = ["concept", "layer"];
    link(
      [map, other],
      [none, none],
      [
        { from: 0, to: 1, names },
        { from: 1, to: 0, names },
      ],
    );
    map.set("concept", "dog");
    expect(other.get("concept")).toBe("dog");
    choose(other, { layer: 4 }, none);
    expect(map.get("layer")).toBe(4);
    map.set("concept", "new");
    expect(other.get("concept")).toBe("dog");
  });
});

describe("a gallery whose concept is recorded by its name alone", () => {
  const keys = ["concept"];
  const gallery = () => new PageModel({ concept: "cat", layer: 3, message: "" });
  it("moves its layer without a word about settings", () => {
    const model = gallery();
    choose(model, { layer: 4 }, { keys, recordings: [] });
    expect([model.get("layer"), model.get("message")]).toEqual([4, ""]);
  });
  it("says that another concept was not recorded", () => {
    const model = gallery();
    choose(model, { concept: "dog" }, { keys, recordings: [] });
    expect(model.get("message")).toBe("No settings were recorded on this page.");
  });
});

describe("answers of a sweep", () => {
  const sweep: Sweep = {
    concepts: ["cat", "dog"],
    spans: [{ 0: [[2, 5, 0]] }, {}],
    layers: [0, 1, 2],
    strengths: [-1, 1],
    unit: "residual",
    samples: ["a", "b"],
    texts: ["a cat", "A plain Dog", "a plain tree"],
    unsteered: [2, 2],
    steered: "",
    random: "",
  };
  it("have a place for each position", () => {
    for (let at = 0; at < 24; at += 1) expect(position(sweep, placeOf(sweep, at))).toBe(at);
    expect(placeOf(sweep, 23)).toEqual({ concept: 1, layer: 2, strength: 1, sample: 1 });
  });
  it("are found by all the words that were typed, whatever their case", () => {
    const steered = new Int32Array(24).fill(-1);
    steered.set([0, 1, 2, 1]);
    expect(search(sweep, steered, "dog plain")).toEqual([1, 3]);
    expect(search(sweep, steered, "bird")).toEqual([]);
    expect(holds("A cat", "")).toBe(true);
  });
  it("are kept as indices", () => {
    expect([...numbers("/////wIAAAA=")]).toEqual([-1, 2]);
  });
});
