"""Which labels a steered concept may push out of an answer without its counting against it."""

import numpy as np

from mllm_probe.sweeps.grid import Samples

CATEGORIES = {
    "cat": "entity",
    "dog": "entity",
    "neon": "visual_style",
    "sketch": "visual_style",
    "awe": "emotion",
    "red": "colour",
    "blue": "colour",
}


def samples() -> Samples:
    return Samples([], [], {}, [], {}, CATEGORIES, {}, (np.ones((0, 0), bool),) * 2, of_library=False)


def test_a_style_replaces_a_style_and_a_thing_stands_beside_a_thing():
    assert samples().slot("neon") == {"neon", "sketch"}
    assert samples().slot("cat") == {"cat"}


def test_categories_that_are_not_known_to_exclude_each_other_do_not():
    assert samples().slot("red") == {"red"} and samples().slot("nowhere") == {"nowhere"}
