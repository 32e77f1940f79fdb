"""Waits of the host for the device that the package makes, each with its reason; no test lets another one pass.

A key is the function that waits. Those of transformers are the model's own: a plain forward has them too.
"""

from __future__ import annotations

ALLOWED: dict[str, str] = {
    "mllm_probe/activations/device_array.py:to": "layers of a sharded model that are asked for on one device",
    "mllm_probe/activations/device_array.py:on_host": "the one way to the host: results that are read, once per call",
    "mllm_probe/activations/hooks.py:text_embeddings_of_generated_images": (
        "whether an answer holds the image's own token, once per capture"
    ),
    "mllm_probe/decoding/shared_prompt.py:<genexpr>": "which arguments of a block hold columns, once per prompt",
    "mllm_probe/decoding/depth.py:_step": "tokens that come on the device: whether rows still agree",
    "mllm_probe/decoding/paths.py:can_batch": "whether prompts of several images are alike, once per pair",
    "mllm_probe/decoding/rows.py:whole_forward": "the tokens that are put behind the prompt",
    "mllm_probe/generation/generating.py:generate": "the answer's tokens, once",
    "mllm_probe/generation/streaming.py:run": "the tokens of a step, which the person reads",
    "mllm_probe/generation/streaming.py:__call__": "the tokens of a step, which the person reads",
    "mllm_probe/models/fingerprints.py:_read_values": "a few values of every weight in one copy, to notice a change",
    "mllm_probe/models/inputs.py:_without_padding": "padding is cut off by a mask: a whole forward has no other way",
    "mllm_probe/patching/counterfactuals.py:<genexpr>": "pixels of a pair, to see which differ",
    "mllm_probe/patching/counterfactuals.py:of": "ids of a prompt, once per image",
    "mllm_probe/steering/buffer.py:ratios": "sizes of the edits for the receipt, once per chunk",
    "mllm_probe/steering/buffer.py:_answered": "tokens of the answers for the receipt, once per chunk",
    "mllm_probe/steering/tensors.py:edited": "which rows a layer edits: once per layer when edits are written",
    "mllm_probe/sweeps/scoring.py:greedy": "the tokens of a step, which decide what is fed next",
    "mllm_probe/sweeps/reference_scorer.py:_read": "scores of a batch of answers",
    "mllm_probe/sweeps/scoring.py:_breaks": "which rows of a chunk are not finite, once per chunk",
    "mllm_probe/sweeps/scoring.py:_first_scores": "scores of a chunk",
    "mllm_probe/sweeps/scoring.py:_scores": "which rows of a chunk are not finite, once per chunk",
    "mllm_probe/sweeps/scoring.py:_stepwise": "scores of a chunk",
    "mllm_probe/vectors/directions.py:_measured": "lengths of the vectors of all concepts, once per device",
    "mllm_probe/vectors/files.py:_save_safetensors": "vectors that are written to a file",
}
