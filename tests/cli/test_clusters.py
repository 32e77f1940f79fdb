"""Workers of this machine: each sees one GPU, set before it starts."""

import os

import pytest

from mllm_probe.cli import sweep_commands


def cuda_devices():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("named", "expected"),
    [("2,0", ["2", "0"]), ("GPU-1f, MIG-a", ["GPU-1f", "MIG-a"]), ("", []), ("-1", [])],
)
def test_gpus_that_were_shown_to_this_process_are_shared_out(monkeypatch, named, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert sweep_commands.visible_gpus() == expected


def test_each_worker_sees_one_gpu_in_turns(monkeypatch):
    monkeypatch.setattr(sweep_commands, "visible_gpus", lambda: ["3", "5"])
    with sweep_commands.cluster_client(3, None) as client:
        client.wait_for_workers(3)
        assert sorted(client.run(cuda_devices).values()) == ["3", "3", "5"]
