import numpy as np
import pytest

from mllm_probe.plots import palette
from mllm_probe.schema import CATEGORIES


def test_every_category_has_a_colour_that_does_not_change():
    fixed = {palette.category_colour(name) for name in CATEGORIES}
    assert len(fixed) == len(CATEGORIES) and palette.category_colour("") not in fixed
    own = [palette.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert own == [palette.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert len(set(own)) > 1 and not set(own) & (fixed | {palette.category_colour("")})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scores_go_up_in_visible_steps_of_equal_size_away_from_the_page(theme):
    lab = np.array([oklab(palette.sequential(score, theme)) for score in np.linspace(0, 1, 9)])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.min() > 0.06 and steps.max() < 1.25 * steps.min()
    lightness = lab[:, 0] if theme == "dark" else -lab[:, 0]
    assert (np.diff(lightness) > 0).all()
    assert palette.sequential(-1, theme) == palette.sequential(0, theme)
    assert palette.sequential(7, theme) == palette.sequential(1, theme)


def oklab(colour: str) -> np.ndarray:
    """Oklab coordinates of a colour, in which equal distances look equal (Björn Ottosson, 2020)."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = np.cbrt(np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ linear)
    return np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]) @ lms
