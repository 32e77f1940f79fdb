"""Several processes of one thread each that share a step: on a busy processor faster than several threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn


@dataclass(frozen=True)
class Team:
    """Place of a process among those that train together, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """True if this process prints, evaluates and saves."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the team, in one transfer."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = nn.utils.parameters_to_vector(gradients)
        dist.all_reduce(flat)
        nn.utils.vector_to_parameters(flat / self.size, gradients)

    def agree(self, asked: bool) -> bool:
        """Return what the leading process was asked for, in every process."""
        if self.size == 1:
            return asked
        flag = torch.tensor([float(asked)])
        dist.broadcast(flag, 0)
        return bool(flag.item())

    def wait(self) -> None:
        """Return when every process of the team has come here."""
        if self.size > 1:
            dist.barrier()


def _worker(rank: int, size: int, meeting: str, function: Callable[..., None], arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=Path(meeting).as_uri(), rank=rank, world_size=size, timeout=timedelta(hours=2)
    )
    try:
        function(Team(rank, size, torch.device("cpu")), *arguments)
    finally:
        dist.destroy_process_group()


def run_team(function: Callable[..., None], *arguments: object, processes: int = 2) -> None:
    """Run `function(team, *arguments)` on one CUDA device if there is one, else in `processes` processes on the CPU.

    `function`: a module's top-level function. `*arguments`: passed on.
    """
    if torch.cuda.is_available():
        function(Team(0, 1, torch.device("cuda")), *arguments)
        return
    if processes == 1:
        function(Team(0, 1, torch.device("cpu")), *arguments)
        return
    with TemporaryDirectory() as folder:
        mp.spawn(_worker, (processes, str(Path(folder) / "meeting"), function, arguments), nprocs=processes)
