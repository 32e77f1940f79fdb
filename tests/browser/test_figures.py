"""Bokeh figures in a real JupyterLab: they fit the notebook, nothing of them is cut, and they follow its theme."""

from __future__ import annotations

import pytest

from mllm_probe.plots.palette import DARK, LIGHT
from tests.browser import lab

pytestmark = pytest.mark.browser

LOAD = """
from bokeh.io import output_notebook, show
from bokeh.resources import INLINE
import mllm_probe as mp
from tests.plots.test_effects import effect_dataset
from tests.plots.test_vector_geometry import measured_vectors
output_notebook(INLINE, hide_banner=True)
effect = effect_dataset()
"""
CELLS = {
    "layer_profile": "show(mp.plots.layer_profile(effect))",
    "dose_response": "show(mp.plots.dose_response(effect))",
    "vector_geometry": "show(mp.plots.vector_geometry(measured_vectors()))",
}
_DRAWN = "() => window.Bokeh && Bokeh.documents.length === 3 && Bokeh.documents.every((one) => one.is_idle)"
_SIZES = """() => [...document.querySelectorAll('.jp-OutputArea-output')].filter((e) => e.offsetWidth > 0)
  .map((e) => [e.scrollWidth, e.clientWidth])"""
_COLOURS = """() => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()].filter((m) => m.type === 'Figure')
  .map((figure) => [figure.below.find((part) => part.type.endsWith('Axis')).major_label_text_color,
    figure.background_fill_color, figure.inner_width]))"""


def test_figures_fit_the_notebook_and_take_the_colours_of_its_theme(desk: lab.Desk) -> None:
    desk.notebook("figures.ipynb", LOAD.strip(), *CELLS.values())
    with desk.opened("figures.ipynb", 1300, 1000) as page:
        for index in range(1 + len(CELLS)):
            lab.finish_cell(page, index)
        page.wait_for_function(_DRAWN)
        for width in (820, 1800, 1300):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_function(f"() => ({_SIZES})().every(([inner, outer]) => inner <= outer + 1)")
            assert len(page.evaluate(_SIZES)) >= len(CELLS)
        for theme, colours in {"Light": LIGHT, "Dark": DARK}.items():
            lab.set_theme(page, f"JupyterLab {theme}")
            page.wait_for_function(f"() => ({_COLOURS})().every(([one]) => one === '{colours['ink']}')")
            figures = page.evaluate(_COLOURS)
            assert len(figures) == 5 and all(back is None and width > 200 for _, back, width in figures)
            for index, name in enumerate(CELLS):
                output = page.locator(".jp-Cell").nth(index + 1).locator(".jp-OutputArea-output").first
                output.scroll_into_view_if_needed()
                output.screenshot(path=lab.SHOTS / f"figure-{name}-{theme.lower()}.png")
