"""What `capture` costs beside a bare forward pass: CPU seconds, interleaved, on a random Llava of realistic size."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

import mllm_probe as mp

IMAGE_TOKEN = 150


def random_llava(width: int, layers: int, patches_per_side: int) -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=7 * patches_per_side,
        patch_size=7,
    )
    text = LlamaConfig(
        vocab_size=8000,
        hidden_size=width,
        intermediate_size=11 * width // 4,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE_TOKEN)
    return LlavaForConditionalGeneration(config).eval()


def sample(patches_per_side: int, text_tokens: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(200, 8000, (1, text_tokens - 1), generator=generator)
    image = torch.full((1, patches_per_side**2), IMAGE_TOKEN)
    ids = torch.cat([torch.tensor([[1]]), text[:, :4], image, text[:, 4:]], 1)
    pixels = torch.randn(1, 3, 7 * patches_per_side, 7 * patches_per_side, generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}


def cpu_seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def measure(bare: Callable[[], object], captured: Callable[[], object], repeats: int) -> list[tuple[float, float]]:
    """CPU seconds of pairs (bare, captured), the order of each pair turned round every time."""
    pairs = []
    for number in range(-1, repeats):
        order = (bare, captured) if number % 2 else (captured, bare)
        seconds = {job: cpu_seconds(job) for job in order}
        if number >= 0:
            pairs.append((seconds[bare], seconds[captured]))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--patches", type=int, default=24, help="patches per side of the image")
    parser.add_argument("--text", type=int, default=24, help="tokens of text")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model = mp.wrap(random_llava(options.width, options.layers, options.patches))
    inputs = sample(options.patches, options.text)

    def bare() -> object:
        with torch.no_grad():
            return model.hf(**inputs, use_cache=False, logits_to_keep=1)

    def captured() -> object:
        return mp.capture(model, None, tokens="all", layers="all", inputs=inputs)

    pairs = measure(bare, captured, options.repeats)
    ratios = sorted(after / before for before, after in pairs)
    result = {
        "benchmark": "capture of all layers and tokens / bare forward",
        "model": f"random Llava, width {options.width}, {options.layers} blocks",
        "tokens": inputs["input_ids"].shape[1],
        "pairs": len(pairs),
        "bare_cpu_seconds": round(statistics.median(before for before, _ in pairs), 4),
        "capture_cpu_seconds": round(statistics.median(after for _, after in pairs), 4),
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)[::2]] if len(ratios) > 1 else None,
        "target": 1.05,
        "torch": torch.__version__,
        "threads": options.threads,
    }
    print(
        f"capture of all layers and tokens / bare forward: {result['ratio_median']:.3f} (target ≤ 1.05; quartiles "
        f"{result['ratio_quartiles']}; {result['bare_cpu_seconds']} s and {result['capture_cpu_seconds']} s of CPU; "
        f"{result['model']}, {result['tokens']} tokens, {len(pairs)} pairs)"
    )
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
