/** Bundle every widget into one self-contained ES module, straight into the Python package, and stamp it with its sources. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { context } from "esbuild";

const OUT = "../mllm_probe/widgets/static";
const SETTINGS = [
  "build.mjs",
  "package-lock.json",
  "package.json",
  "tsconfig.json",
  "../mllm_probe/plots/palette.json",
];

/** The same hash as `stamp` in hatch_build.py: for each file its path, its length and its content. */
function stamp() {
  const found = readdirSync("src", { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = [...found.map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/")), ...SETTINGS];
  const digest = createHash("sha256");
  for (const file of files.sort((a, b) => (a < b ? -1 : 1))) {
    const content = readFileSync(file);
    digest.update(`${file}\0${content.length}\0`);
    digest.update(content);
  }
  return digest.digest("hex");
}

const job = await context({
  entryPoints: [
    "src/heatmap/layer_concept_heatmap.ts",
    "src/inside/pair_gallery.ts",
    "src/inside/patch_overlay.ts",
    "src/inside/token_strip.ts",
    "src/lab/lab_bar.ts",
    "src/monitor/sweep_monitor.ts",
    "src/pages/saved_page.ts",
    "src/panel/steering_panel.ts",
    "src/study/study_view.ts",
  ],
  outdir: OUT,
  entryNames: "[name]",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  loader: { ".css": "text" },
  logLevel: "info",
  plugins: [
    { name: "stamp", setup: (build) => build.onEnd(() => writeFileSync(join(OUT, "sources.sha256"), `${stamp()}\n`)) },
  ],
});
if (process.argv.includes("--watch")) {
  await job.watch();
} else {
  await job.rebuild();
  await job.dispose();
}
