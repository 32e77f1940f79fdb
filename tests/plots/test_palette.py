from mllm_probe.plots import palette
from mllm_probe.schema import CATEGORIES


def test_every_category_has_a_colour_that_does_not_change():
    fixed = {palette.category_colour(name) for name in CATEGORIES}
    assert len(fixed) == len(CATEGORIES) and palette.category_colour("") not in fixed
    own = [palette.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert own == [palette.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert len(set(own)) > 1 and not set(own) & (fixed | {palette.category_colour("")})
