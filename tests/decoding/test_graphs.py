"""When a step is recorded, and that recording leaves no trace in what it adds up."""

import torch

from mllm_probe.decoding.compiled import Recorded


class Fake:
    """Records as a device does: addresses at the time, after some runs to warm up."""

    def __init__(self):
        self.recordings = 0

    def __call__(self, step, inputs):
        self.recordings += 1
        for _ in range(4):
            step(*inputs)
        return lambda: step(*inputs)


def test_a_step_is_recorded_once_and_again_when_tensors_move():
    fake, added, given = Fake(), torch.zeros(2), torch.ones(2)

    def step(values):
        recorded.tensors[0].add_(values)
        return 2 * values

    recorded = Recorded(step, fake)
    recorded.tensors = [added]
    recorded.watch([added])
    assert torch.equal(recorded(given), 2 * given) and torch.equal(added, given)
    recorded.watch([added])
    given.fill_(3)
    assert torch.equal(recorded(given), torch.full((2,), 6.0)) and torch.equal(added, torch.full((2,), 4.0))
    assert fake.recordings == 1
    moved = torch.zeros(2)
    recorded.tensors = [moved]
    recorded.watch([moved])
    recorded(given)
    assert fake.recordings == 2 and torch.equal(moved, given) and torch.equal(added, torch.full((2,), 4.0))
    recorded.watch([moved], key="other weights")
    recorded(given)
    assert fake.recordings == 3 and torch.equal(moved, 2 * given)
