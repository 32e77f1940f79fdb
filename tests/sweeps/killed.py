"""A sweep with a store that kills its own process: after some chunks, or in the middle of writing a file."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import torch

from mllm_probe.sweeps import runner, sweep, sweep_iter
from mllm_probe.sweeps.runner import Limits
from tests.conftest import noise_picture
from tests.sweeps.helpers import random_vectors
from tests.zoo import tiny_llava

SETTINGS = {
    "layers": [0, 2],
    "strengths": (-1, 0, 1),
    "draws": 4,
    "max_new_tokens": 3,
    "record": ("residual_norm", "logit_lens", "activation"),
    "read_layers": [1, 3],
    "progress": False,
}
FEW = {
    "layers": [0, 2],
    "strengths": (0, 1),
    "draws": 4,
    "metrics": ("logprob", "tokens"),
    "max_new_tokens": 2,
    "progress": False,
}
"""Of the scope ``few``, for stores whose files are far away."""
ROWS = 7


def arguments(scope):
    """A sweep of three pictures and two concepts, as keyword arguments."""
    model = tiny_llava()
    tokens = {"next": ("last_prompt", "generated"), "image": "image", "few": ("last_prompt",)}[scope]
    pictures = [noise_picture(seed) for seed in range(2 if scope == "few" else 3)]
    words = {"cat": ["cat", "red star"], "dog": ["dog"]}
    return {
        "model": model,
        "vectors": random_vectors(model, words=words),
        "images": pictures,
        "tokens": tokens,
    } | (FEW if scope == "few" else SETTINGS)


def small_chunks(patch=setattr):
    """Chunks of seven rows, and units of one, whatever the machine does beside."""
    patch(runner, "DEFAULT", Limits(rows=ROWS, packed_rows=1, seconds=float("inf"), unit_seconds=(0, 0)))


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def at_file(root, when, number, then):
    """Call ``then`` at the given file that is put in its place below a folder, and at every later one.

    ``when`` is ``write`` (half of it is written), ``rename`` (it is written and not yet in its place) or ``placed``.
    """
    count, lock = 0, threading.Lock()

    def watched(place):
        def placed(source, target, **named):
            nonlocal count
            if root not in Path(target).parents:
                return place(source, target, **named)
            with lock:
                count += 1
                reached = count >= number
            if reached and when == "write":
                os.truncate(source, os.path.getsize(source) // 2)
            if reached and when != "placed":
                then()
            place(source, target, **named)
            if reached:
                then()

        return placed

    os.replace, os.link = watched(os.replace), watched(os.link)


def forked(target, *arguments, preload=__name__, **named):
    """Start a process in which the package is imported already; it runs ``target`` and ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    process = context.Process(target=target, args=arguments, kwargs=named)
    process.start()
    return process


def fill(store, scope, told):
    """Sweep into ``store`` to the end, and write the progress of the grid to a file."""
    torch.set_num_threads(1)
    small_chunks()
    grid = sweep(**arguments(scope), store=store)
    told.write_text(json.dumps({"progress": grid.attrs["progress"]}))


def with_environment(environment, function, *arguments):
    """Call a function with variables of the environment, whatever those of the process's parent are."""
    os.environ.update(environment)
    function(*arguments)


def main(store, scope, when, number, shard=None):
    """Sweep into ``store`` and die.

    ``when`` is ``chunk`` (after ``number`` of them), ``write`` (half of that file is written) or ``rename`` (that file
    is written and not yet in its place).
    """
    torch.set_num_threads(1)
    small_chunks()
    if when != "chunk":
        at_file(Path(store), when, number, kill)
    for chunk, _ in enumerate(sweep_iter(**arguments(scope), store=store, shard=shard), start=1):
        if when == "chunk" and chunk == number:
            kill()
