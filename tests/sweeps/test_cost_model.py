"""Costs of a sweep on a model that is not there, against the model itself."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import mllm_probe.sweeps as sweeps
from mllm_probe.decoding.row_bytes import cache_row_bytes
from mllm_probe.sweeps import Machine, estimate
from mllm_probe.sweeps.cost_model import Cost
from mllm_probe.sweeps.model_size import size_of
from tests.sweeps.helpers import random_vectors, wrapped_family

WORDS = {"cat": [7, 8], "dog": [9]}
FAST = Machine("fast", 1e15, 1e15, 1e15, 0.0, 0.0)
SETTINGS = {"strengths": (-2, -1, 0, 1), "draws": 4, "metrics": ("logprob", "named", "kl"), "max_new_tokens": 3}


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_a_configuration_gives_the_counts_and_bytes_of_the_loaded_model(family):
    model, inputs = wrapped_family(family, "cpu")
    prompt = inputs["input_ids"].shape[1]
    loaded = sweeps.plan(model, random_vectors(model, words=WORDS), inputs=[inputs] * 2, **SETTINGS)
    planned = sweeps.plan(model.hf.config, 2, 2, prompt, **SETTINGS, machine=FAST)
    assert (planned.rows, planned.cells, planned.samples) == (loaded.rows, loaded.cells, loaded.samples)
    assert planned.kinds == {name: kind.runs for name, kind in loaded.kinds.items()}
    assert planned.bytes_of_grid == loaded.bytes_of_grid
    size, parameters = planned.size, list(model.hf.parameters())
    assert (size.parameters, size.blocks) == (sum(p.numel() for p in parameters), len(model.layers))
    assert size_of(model.hf.config, model.dtype).weight_bytes == sum(p.nbytes for p in parameters)
    assert size_of(model.hf.config, model.dtype).cache_bytes == cache_row_bytes(model, 1)
    assert size_of(model.hf.config, model.dtype) == size_of(model.hf)


def test_operations_of_a_prompt_are_those_that_pytorch_counts():
    model, _ = wrapped_family("llava", "cpu")
    tokens = 40
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.layout.backbone(inputs_embeds=torch.randn(1, tokens, model.hidden_size), use_cache=False)
    said = estimate(model.hf, prompt_tokens=tokens, machine=FAST).costs["prompts"].flops
    assert 0.8 < said / counter.get_total_flops() < 1.25


def test_a_folder_with_a_configuration_is_enough(tmp_path):
    model, _ = wrapped_family("llava", "cpu")
    model.hf.config.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    plan = sweeps.plan(tmp_path, 48, 1000, 300, layers=[0, 1], machine="H100")
    assert plan.samples == 1000 and plan.rows == 2 * (48 * 4 + 2 * 8 * 2)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == model.family


def test_what_takes_longest_is_named_and_a_night_is_ten_hours():
    model, _ = wrapped_family("llava", "cpu")

    def on(**changed):
        facts = {"flops": 1e18, "bandwidth": 1e18, "memory": 1e12, "call_seconds": 0.0, "run_seconds": 0.0} | changed
        return estimate(model.hf, concepts=4, images=50, prompt_tokens=30, machine=Machine("own", **facts))

    limits = {"flops": 1e3, "bandwidth": 1e3, "call_seconds": 1.0, "run_seconds": 10.0}
    named = [on(**{name: value}).bottleneck.split(": ") for name, value in limits.items()]
    assert [limit for _, limit in named] == ["compute", "memory bandwidth", "calls", "interpreter"]
    slow = on(run_seconds=10.0)
    assert slow.seconds == pytest.approx(10 * slow.rows * 50, rel=1e-3)
    assert slow.workers_for_a_night == -(-slow.rows * 500 // 36000) and on().workers_for_a_night == 1
    small = on(memory=slow.size.weight_bytes / 2.5)
    assert small.devices >= 3 and small.device_hours == pytest.approx(small.seconds / 3600 * small.devices)
    text = str(slow)
    for words in (
        "steered runs on each of 50 images",
        "for one night of 10 hours",
        "limit     bookkeeping: interpreter",
    ):
        assert words in text
    assert Cost(1, 2, 3, 4) * 2 == Cost(2, 4, 6, 8)


def test_more_of_anything_costs_more():
    model, _ = wrapped_family("llava", "cpu")
    asked = {"concepts": 2, "images": 4, "prompt_tokens": 50, "draws": 4, "max_new_tokens": 4, "layers": 1}
    counting = Machine("counting", 1e9, 1e18, 1e18, 0.0, 0.0)
    least = estimate(model.hf, **asked, machine=counting)
    for name, value in {"concepts": 300, "images": 5, "prompt_tokens": 90, "draws": 400, "max_new_tokens": 6}.items():
        assert estimate(model.hf, **asked | {name: value}, machine=counting).seconds > least.seconds, name
    bare = estimate(model.hf, **asked, metrics=("logprob",), machine="H100")
    assert set(least.costs) - set(bare.costs) == {"answers", "unsteered answer", "perplexity"}


def test_wrong_numbers_are_named():
    config = wrapped_family("llava", "cpu")[0].hf.config
    with pytest.raises(ValueError, match="images: before a model has weights, expected the number of images"):
        sweeps.plan(config, 2, None, 30)
    with pytest.raises(ValueError, match="tokens: costs before a model has weights are those of"):
        sweeps.plan(config, 2, 2, 30, tokens="image")
    with pytest.raises(ValueError, match="machine: expected one of H100, A100, L40S, or a Machine"):
        sweeps.plan(config, 2, 2, 30, machine="abacus")
    with pytest.raises(ValueError, match="controls: expected some of .*; got 'luck'"):
        estimate(config, prompt_tokens=3, controls=("luck",))


def test_a_loaded_model_is_measured_where_it_is(tiny, pictures):
    with pytest.raises(ValueError, match="machine: a loaded model is timed where it is"):
        sweeps.plan(tiny, random_vectors(tiny), pictures[:1], machine="H100")


def test_the_cpu_is_measured():
    here = Machine.measured()
    assert here.flops > 1e8 and here.bandwidth > 1e7 and 0 < here.call_seconds < 1 and here.memory > 1e6
