"""The simulated accelerator keeps a GPU's rules, so that tests on it can fail for what would fail on a GPU."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest
import torch

from tests import accelerator
from tests.accelerator import DeviceMismatchError, Traffic, counted


@pytest.fixture(autouse=True)
def installed():
    accelerator.install()


def on(device: str, *shape: int) -> torch.Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape).to(device)


def test_tensors_keep_their_device_and_numbers():
    x = on("sim:1", 2, 3)
    assert x.device == torch.device("sim", 1) and (x * 2 + 1)[0].device == x.device
    assert torch.equal((x @ x.T).cpu(), torch.tensor([[5.0, 14.0], [14.0, 50.0]]))
    assert torch.tensor([1, 2], device="sim").tolist() == torch.ones(2, device="sim").cumsum(0).tolist() == [1, 2]


def test_a_view_shares_memory():
    x = on("sim", 2, 3)
    x[:, 1].add_(10)
    x[0, :1] = -1
    assert x.tolist() == [[-1, 11, 2], [3, 14, 5]]


def test_copies_and_modules_keep_their_numbers():
    layer = torch.nn.Linear(3, 2).to("sim")
    copied = copy.deepcopy(layer).to(torch.bfloat16)
    assert copied.weight.dtype == copied.weight.data_on_host.dtype == torch.bfloat16
    assert layer.weight.dtype == layer.weight.data_on_host.dtype == torch.float32
    assert isinstance(copied.weight, torch.nn.Parameter) and copied.weight.device.type == "sim"
    assert torch.equal(copied(on("sim", 1, 3).bfloat16()), copied.cpu()(on("cpu", 1, 3).bfloat16()).to("sim"))
    again = pickle.loads(pickle.dumps(on("sim:1", 2, 3)))
    assert again.device == torch.device("sim", 1) and again.tolist() == on("cpu", 2, 3).tolist()


def test_numbers_in_order_are_made_on_the_device():
    made = torch.arange(3, device="sim"), torch.arange(1, 4, device="sim"), torch.arange(0, 6, 2, device="sim")
    assert [one.tolist() for one in made] == [[0, 1, 2], [1, 2, 3], [0, 2, 4]] and {len(one) for one in made} == {3}
    assert torch.eye(2, device="sim").tolist() == [[1, 0], [0, 1]]
    assert sorted(torch.randperm(4, device="sim").tolist()) == [0, 1, 2, 3]


def test_an_operation_may_resize_its_tensor():
    joined, column = torch.empty(0, device="sim"), on("sim", 2, 1)
    torch.cat([on("sim", 2), on("sim", 2)], out=joined)
    column.squeeze_(1)
    assert joined.shape == (4,) and column.shape == (2,)
    assert (joined + 1).tolist() == [1, 2, 1, 2] and (column + 1).tolist() == [1, 2]


def test_a_tensor_of_inference_mode_has_views_after_it():
    with torch.inference_mode():
        x = on("sim", 2, 3) + 1
        assert type(x.cpu()) is torch.Tensor and torch.ones(2).to("sim").device.type == "sim"
    assert x[:, :1].tolist() == [[1], [4]] and x.select(0, 1).tolist() == [4, 5, 6]


@pytest.mark.parametrize("others", ["cpu", "sim:1"])
def test_devices_do_not_mix(others):
    x, other = on("sim:0", 2, 3), on(others, 2, 3)
    for mix in (lambda: x + other, lambda: torch.cat([x, other]), lambda: x.add_(other), lambda: other @ x.T):
        with pytest.raises(DeviceMismatchError, match="sim:0"):
            mix()


def test_a_number_of_the_host_and_an_index_of_the_host_may_meet_a_device_as_on_cuda():
    x = on("sim", 3)
    assert (x * torch.tensor(2.0)).tolist() == [0, 2, 4] and x[torch.tensor([2, 0])].tolist() == [2, 0]
    with pytest.raises(DeviceMismatchError):
        x[on("sim:1", 2).long()]


WAITS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 1).any()),
    "tensor of numbers": lambda x: torch.tensor([x.sum()], device="sim"),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "copy into a host tensor": lambda x: torch.empty(4).copy_(x),
    "nonzero": lambda x: x.nonzero(),
    "boolean index": lambda x: x[x > 1],
    "equal": lambda x: torch.equal(x, x),
    "unique": lambda x: x.unique(),
}


@pytest.mark.parametrize("name", WAITS)
def test_every_wait_is_counted_with_its_place(name):
    with counted() as traffic:
        WAITS[name](on("sim", 4))
    assert sum(traffic.waits.values()) == 1 and next(iter(traffic.waits))[1] == "elsewhere"


def test_work_on_the_device_is_not_waited_for():
    with counted() as traffic:
        x = on("sim", 4, 4)
        torch.nn.functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])
        x.softmax(-1).topk(2).values.where(x[:, :2] > 1, 0).index_select(0, on("sim", 2).long())
    assert not traffic.waits and traffic.to_host == 0 and sum(traffic.uploads.values()) == 2


def test_bytes_are_counted_by_direction():
    with counted() as traffic:
        on("sim:0", 2, 3).to("sim:1")[0].cpu()
    assert (traffic.to_device, traffic.between, traffic.to_host) == (24, 24, 12)


def test_counting_ends_with_its_block():
    with counted() as traffic:
        pass
    on("sim", 2).tolist()
    assert traffic == Traffic()


def test_the_error_says_what_to_do_when_the_registration_moves(monkeypatch):
    plain = builtins.__import__

    def without(name, *arguments, **named):
        if name == "torch.utils.backend_registration":
            raise ImportError(name)
        return plain(name, *arguments, **named)

    monkeypatch.setattr(accelerator, "_libraries", [])
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="test_privateuseone_python_backend.py"):
        accelerator.install()
