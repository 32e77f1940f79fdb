"""The still picture of the map."""

from mllm_probe.widgets import LayerConceptHeatmap
from mllm_probe.widgets.drawing.shapes import Text
from tests.widgets import fakes


def texts(categories):
    effect = fakes.effect().isel(concept=slice(len(categories)))
    heatmap = LayerConceptHeatmap(effect.assign_coords(category=("concept", categories)))
    drawing = heatmap.drawing()
    heatmap.close()
    return drawing, {shape.text: shape for shape in drawing.shapes if isinstance(shape, Text)}


def test_categories_of_one_row_are_written_out_above_it():
    drawing, found = texts(["entity", "visual_style", "emotion"])
    wanted = ["entity", "visual style", "emotion"]
    assert [found[name].turned for name in wanted] == [False] * 3
    heights = [found[name].y for name in wanted]
    assert heights == sorted(heights) and heights[-1] < drawing.height - 60
    assert not any("…" in text for text in found)


def test_categories_that_fit_stand_turned_beside_their_rows():
    _, found = texts(["mood"] * 3)
    assert found["mood"].turned
