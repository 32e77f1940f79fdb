"""An accelerator for tests on any machine: tensors on ``sim:0``, ``sim:1`` … whose data stay in host memory.

Every operation checks that its tensors are on one device, as CUDA does, and computes real numbers. Waits of the host
for a device are counted, and so are the bytes that cross between them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import transformers

NAME = "sim"
FOLDERS = (str(Path(__file__).resolve().parents[1] / "mllm_probe"), str(Path(transformers.__file__).resolve().parent))
aten = torch.ops.aten


class DeviceMismatchError(RuntimeError):
    """Tensors of different devices met in one operation."""


@dataclass
class Traffic:
    """What the host waited for, and what crossed between host and device.

    Attributes
    ----------
    waits, uploads : Counter
        What the host waited for and what it sent, by operation and by place in the package.
    to_host, to_device, between : int
        Bytes.
    """

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    uploads: Counter[tuple[str, str]] = field(default_factory=Counter)
    to_host: int = 0
    to_device: int = 0
    between: int = 0

    def wait(self, operation: str) -> None:
        """Count a wait."""
        self.waits[operation, place()] += 1


_open: list[Traffic] = []


@contextmanager
def counted() -> Iterator[Traffic]:
    """Count the traffic within the block."""
    traffic = Traffic()
    _open.append(traffic)
    try:
        yield traffic
    finally:
        _open.remove(traffic)


_COMPREHENSION = re.compile(r"(\.<locals>\.<(list|dict|set)comp>)+$")


def place() -> str:
    """Innermost running function of the package or of transformers, as ``mllm_probe/folder/module.py:function``.

    A comprehension counts as the function that it stands in, which it is part of from Python 3.12 on.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        for folder in FOLDERS:
            if frame.f_code.co_filename.startswith(folder):
                file = Path(frame.f_code.co_filename).relative_to(Path(folder).parent)
                name = _COMPREHENSION.sub("", frame.f_code.co_qualname).rpartition(".")[2]
                return f"{file.as_posix()}:{name}"
        frame = frame.f_back
    return "elsewhere"


# Operations whose result's shape, or the host's next step, depends on values.
_WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.is_nonzero.default,
    aten.equal.default,
    aten.repeat_interleave.Tensor,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
    aten.bincount.default,
}
_COPIES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}


class Simulated(torch.Tensor):
    """A tensor that says it is on ``device``; ``data_on_host`` holds its numbers."""

    data_on_host: torch.Tensor

    @staticmethod
    def __new__(cls, data: torch.Tensor, device: torch.device) -> Simulated:
        # A view of an inference tensor, taken after inference mode has ended, is one that wrappers cannot make.
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            return torch.Tensor._make_wrapper_subclass(
                cls, data.size(), strides=data.stride(), storage_offset=data.storage_offset(), dtype=data.dtype,
                layout=data.layout, device=device, requires_grad=data.requires_grad,
            )  # fmt: skip

    def __init__(self, data: torch.Tensor, device: torch.device) -> None:
        self.data_on_host = data

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Simulated({self.data_on_host!r}, device='{self.device}')"

    def tolist(self) -> Any:
        """Values on the host; PyTorch's own method refuses subclasses."""
        return self.cpu().tolist()

    @property
    def data(self) -> Any:  # type: ignore[override]
        """The same numbers outside autograd; a module that changes its type or device sets them."""
        return self.detach()

    @data.setter
    def data(self, value: Simulated) -> None:
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        self.data_on_host = value.data_on_host

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = copied = Simulated(self.data_on_host.detach().clone(), self.device)
            copied.requires_grad_(self.requires_grad)
            if isinstance(self, torch.nn.Parameter):
                copied._is_param = True  # type: ignore[attr-defined]
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Simulated, (self.data_on_host.detach(), self.device)

    def untyped_storage(self) -> torch.UntypedStorage:
        """Memory of the numbers."""
        return self.data_on_host.untyped_storage()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled():  # PyTorch then leaves operations whole that consist of others
            parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        if func in _COPIES:
            return _copied(func, args, kwargs)
        return _computed(func, args, kwargs)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the host's numbers and put the result where the arguments are."""
    leaves: list[torch.Tensor] = []
    host_args = [_mapped(value, lambda leaf: _on_host(leaf, leaves)) for value in args]
    host_kwargs = {name: _mapped(value, lambda leaf: _on_host(leaf, leaves)) for name, value in kwargs.items()}
    device = _common_device(func, leaves)
    if "device" in kwargs and kwargs["device"] is not None:
        device = _indexed(torch.device(kwargs["device"]))
        host_kwargs["device"] = "cpu"
    if func in _WAITING or _indexes_by_mask(func, args):
        for traffic in _open:
            traffic.wait(func.__name__)
    if func is aten.histc.default and not host_args[0].is_floating_point():  # counts integers on CUDA, not on the CPU
        return to_wrapper(func(host_args[0].float(), *host_args[1:], **host_kwargs).to(host_args[0].dtype), device)
    wrappers = {id(leaf.data_on_host): leaf for leaf in leaves if isinstance(leaf, Simulated)}
    result = func(*host_args, **host_kwargs)

    def wrapped(value: torch.Tensor) -> torch.Tensor:
        # An operation in place returns its argument.
        if id(value) not in wrappers:
            return to_wrapper(value, device)
        if wrappers[id(value)].shape != value.shape:
            wrappers[id(value)].data = Simulated(value, device)  # resized by the operation
        return wrappers[id(value)]

    return _mapped(result, wrapped)


def _on_host(leaf: torch.Tensor, leaves: list[torch.Tensor]) -> torch.Tensor:
    leaves.append(leaf)
    return leaf.data_on_host if isinstance(leaf, Simulated) else leaf


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The tensors of an argument or result changed; ``torch.utils._pytree`` takes twice as long as the operations."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, change) for part in value)
    return value


def to_wrapper(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor as one of ``device``, if that is simulated."""
    return Simulated(value, device) if device.type == NAME else value


def _common_device(func: Any, leaves: list[torch.Tensor]) -> torch.device:
    devices = {leaf.device for leaf in leaves if leaf.dim() or isinstance(leaf, Simulated)}
    # As on CUDA: a number in a tensor of the host may meet any device, and the host's index tensors may select on one.
    numbers = {leaf.device for leaf in leaves if not leaf.dim()}
    if func in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default):
        devices = {leaves[0].device} | {leaf.device for leaf in leaves[1:] if leaf.device.type != "cpu"}
    if len(devices) > 1:
        raise DeviceMismatchError(f"{func}: expected all tensors on one device, got {sorted(map(str, devices))}.")
    return next(iter(devices or numbers), torch.device("cpu"))


def _indexes_by_mask(func: Any, args: Any) -> bool:
    if func not in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
        return False
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _copied(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Copy within or between devices."""
    target = args[0] if func is not aten._to_copy.default else None
    source = args[0] if target is None else args[1]
    host = source.data_on_host if isinstance(source, Simulated) else source
    if target is not None:
        count_bytes(source, target.device)
        (target.data_on_host if isinstance(target, Simulated) else target).copy_(host)
        return target
    device = _indexed(torch.device(kwargs.pop("device", None) or source.device))
    count_bytes(source, device)
    kwargs.pop("non_blocking", None)
    return to_wrapper(func(host, **kwargs, device="cpu" if device.type == NAME else device), device)


def count_bytes(source: torch.Tensor, device: torch.device) -> None:
    """Count a copy of ``source`` to ``device``; one to the host is waited for."""
    size = source.numel() * source.element_size()
    for traffic in _open:
        if source.device == device:
            continue
        if device.type == "cpu":
            traffic.to_host += size
            traffic.wait("copy to host")
        elif source.device.type == "cpu":
            traffic.to_device += size
            traffic.uploads["copy to device", place()] += 1
        else:
            traffic.between += size


def _indexed(device: torch.device) -> torch.device:
    return torch.device(device.type, device.index or 0) if device.type == NAME else device


def _factory(name: str) -> Any:
    overload = getattr(aten, name.split(".")[0])
    overload = getattr(overload, name.split(".")[1]) if "." in name else overload.default

    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        device = _indexed(torch.device(kwargs.pop("device", None) or NAME))
        kwargs.pop("pin_memory", None)
        return Simulated(overload(*args, **kwargs, device="cpu"), device)

    return make


def install() -> None:
    """Make the device ``sim`` known to PyTorch, once per process.

    Raises
    ------
    ImportError
        If PyTorch has no such registration any more.
    """
    if _libraries:
        return
    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
    except ImportError as error:
        raise ImportError(
            "torch.utils.backend_registration._setup_privateuseone_for_python_backend is gone in torch "
            f"{torch.__version__}, a private function. Look in PyTorch's test/test_privateuseone_python_backend.py for "
            "the one that registers a backend written in Python now, and call it here."
        ) from error
    _setup_privateuseone_for_python_backend(NAME)
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)
    for name in ("empty.memory_format", "empty_strided"):
        library.impl(name, _factory(name), "PrivateUse1")
    # torch.tensor(..., device=...) reads numbers and fills a new tensor below the Python key.
    library.impl("_copy_from", _copy_from, "PrivateUse1")
    library.impl("_local_scalar_dense", _number, "PrivateUse1")
    # Memory is the host's, so no cache can be emptied; PyTorch refuses the question for a backend written in Python,
    # and accelerate >= 1.16 asks it of every device.
    torch._C._accelerator_isAllocatorInitialized = lambda: False


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    return _copied(aten.copy_.default, (target, source), {})


def _number(tensor: torch.Tensor) -> Any:
    return _computed(aten._local_scalar_dense.default, (tensor,), {})


_libraries: list[torch.library.Library] = []
