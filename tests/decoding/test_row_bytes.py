"""Memory that is planned for a row: one rule for captures and sweeps."""

from mllm_probe.activations import device_memory as memory
from mllm_probe.decoding.shared_prompt import image_row_bytes, logit_row_bytes


def test_captures_and_sweeps_count_a_block_and_the_vision_tower_alike(tiny, pictures, monkeypatch):
    encoded = tiny.encode(pictures[:1])
    config, length = tiny.hf.config.text_config, encoded.length
    widths = 12 * tiny.hidden_size + 3 * config.intermediate_size
    block = 4 * length * (widths + length * config.num_attention_heads)
    tower = 4 * 40 * encoded.tensors["pixel_values"].numel()
    monkeypatch.setattr(memory, "free_bytes", lambda device: 7 * (block + tower))
    assert memory.rows_that_fit(tiny, encoded, share=1.0) == 7
    assert memory.rows_that_fit(tiny, tiny.encode(pictures[:2]), share=1.0) == 7
    assert image_row_bytes(tiny, encoded, 0) == block + tower + logit_row_bytes(tiny, length)
