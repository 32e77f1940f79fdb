/** The themes of a page as CSS variables, from the table of colours that all figures share. */
import palette from "../../../mllm_probe/plots/palette.json";

type Name = "light" | "dark";

const VARIABLES: [string, keyof typeof palette.light][] = [
  ["--jp-layout-color0", "paper"],
  ["--jp-layout-color1", "paper"],
  ["--jp-ui-font-color1", "ink"],
  ["--jp-ui-font-color2", "soft"],
  ["--jp-border-color1", "edge"],
  ["--jp-border-color2", "line"],
  ["--jp-brand-color1", "brand"],
  ["--jp-error-color1", "warn"],
  ["--jp-success-color1", "good"],
  ["--mp-positive", "positive"],
  ["--mp-negative", "negative"],
];

function variables(theme: Name): string {
  const colours = VARIABLES.map(([name, part]) => `${name}: ${palette[theme][part]};`);
  const controls = Object.entries(palette.controls).map(([kind, one]) => `--mp-control-${kind}: ${one[theme]};`);
  return [...colours, ...controls].join(" ");
}

/** Rules for both themes: the system chooses, and a host that says which theme it has goes before the system. */
export function themes(): string {
  const host = (light: boolean, theme: Name) =>
    `body[data-jp-theme-light="${light}"] { color-scheme: ${theme}; ${variables(theme)} }`;
  return [
    `:root { color-scheme: light dark; ${variables("light")} }`,
    `@media (prefers-color-scheme: dark) { :root { ${variables("dark")} } }`,
    host(true, "light"),
    host(false, "dark"),
    "",
  ].join("\n");
}
