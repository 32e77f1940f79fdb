"""Pages that the browser tests open from a file: a real model, hostile names wherever data has names, no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import ipywidgets
from playwright.sync_api import Page, Route

import mllm_probe as mp
from mllm_probe.concepts import Picture
from mllm_probe.widgets.pages.export_pages import to_html

IMAGE = "<img src=x onerror='window.__owned=1'>"
SCRIPT = "</script><script>window.__owned=1</script>"
NAMES = ["cat", IMAGE, "neon", SCRIPT]
STRENGTHS = (-1, 1, 2)
SAID = " <img src=y onerror='window.__owned=2'>"

_WATCH = """() => {
  window.__refused = [];
  const note = ({ violatedDirective, blockedURI }) => window.__refused.push(`${violatedDirective} ${blockedURI}`);
  addEventListener('securitypolicyviolation', note);
}"""


@dataclass
class Offline:
    """A page without a network, what it asked for all the same, and what it complained about."""

    page: Page
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.set_offline(True)
        self.page.add_init_script(f"({_WATCH})()")
        self.page.route("**/*", self._refuse)
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def open(self, file: Path) -> Page:
        """Open a page and wait for its widgets."""
        self.page.goto(file.as_uri())
        self.page.wait_for_function("document.documentElement.dataset.ready === 'true'")
        return self.page

    def refused(self) -> list[str]:
        """Everything that the page tried to fetch, whether its own policy or this class stopped it."""
        return self.asked + list(self.page.evaluate("window.__refused"))

    def _refuse(self, route: Route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()


def write_pages(folder: Path) -> dict[str, list[str]]:
    """Write ``report.html``, ``panel.html`` and ``widgets.html``; gives the panel's answers by setting."""
    model = mp.load("scenes-8l")
    library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
    measured = mp.concept_vectors(model, library, probe_accuracy=False, shuffled_draws=2)
    pictures: list[Picture] = list(library["cat"].negative)[:3]
    swept = {"layers": [1, 3, 5], "strengths": STRENGTHS, "metrics": ("logprob", "named"), "draws": 4}
    grid = mp.sweep(model, measured, pictures, **swept, progress=False).assign_coords(concept=NAMES)
    grid["text"] = grid["text"].astype(object) + SAID
    grid = grid.assign_attrs(model=f"model {SCRIPT}", prompt=IMAGE)
    mp.report(grid, folder / "report.html", title=f"report {SCRIPT}")

    vectors = measured.assign_coords(concept=NAMES)
    panel = mp.SteeringPanel(model, vectors, pictures, concept="cat", layer=3, scope="last_prompt")
    panel.publish(pictures=[panel.pictures[0], *({**one, "label": f"{IMAGE}.png"} for one in panel.pictures[1:])])
    answers = {}
    for concept, strength in (("cat", 2.0), ("neon", 1.0), (IMAGE, 2.0), ("cat", 0.5)):
        panel.choose(concept=concept, strength=strength)
        assert panel.wait(120), panel.message
        if concept == IMAGE:
            panel.pin()
        answers[f"{concept} {strength:g}"] = [panel.answers[row] for row in ("baseline", "steered", "random")]
    panel.to_html(folder / "panel.html")

    heatmap = mp.LayerConceptHeatmap(grid, concept="cat", layer=3)
    overlay = mp.PatchOverlay(model, vectors, images=library["cat"].positive[0], concept="cat", layer=3)
    strip = mp.TokenStrip(model, vectors, images=library["cat"].positive[0], concept="cat", layer=3)
    assert overlay.wait(120) and strip.wait(120), (overlay.message, strip.message)
    to_html(ipywidgets.VBox([heatmap, overlay, strip]), folder / "widgets.html")
    for widget in (panel, heatmap, overlay, strip):
        widget.close()
    return answers
