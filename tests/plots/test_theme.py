from mllm_probe.plots import theme
from mllm_probe.schema import CATEGORIES


def test_every_category_has_a_colour_that_does_not_change():
    fixed = {theme.category_colour(name) for name in CATEGORIES}
    assert len(fixed) == len(CATEGORIES) and theme.category_colour("") not in fixed
    own = [theme.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert own == [theme.category_colour(name) for name in ("animals", "Smells of home", "tools")]
    assert len(set(own)) > 1 and not set(own) & (fixed | {theme.category_colour("")})
