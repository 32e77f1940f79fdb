"""Core tests of other rooms on the simulated accelerator: what a GPU would do to them, on every machine."""

import pytest

from tests.activations.test_capture import (  # noqa: F401
    test_checking_leaves_no_recorder_on_the_model,
    test_invariant_2_a_captured_layer_is_the_models_own_hidden_state,
    test_invariant_2_in_bfloat16,
)
from tests.device.test_agreement import test_a_sweep_agrees_with_plain_hooks  # noqa: F401
from tests.generation.test_generation import test_generate_equals_the_models_own  # noqa: F401
from tests.steering.test_editing import (  # noqa: F401
    test_layers_below_are_untouched,
    test_no_hook_survives_whatever_is_raised,
    test_rotary_axes_equal_plain_hooks,
    test_strength_zero_is_the_baseline,
    vectors,
)

pytestmark = pytest.mark.simulated


def test_shared_models_are_on_the_device_of_the_test(tiny, tiny_mrope, device):
    assert tiny.device.type == tiny_mrope.device.type == device
