"""The logit lens reads hidden states as the model's own end does."""

from __future__ import annotations

import torch

from mllm_probe.activations import capture
from mllm_probe.metrics import lens_chunks, lens_logits, projection


def test_the_last_block_gives_the_models_own_logits(tiny, pictures):
    encoded = tiny.encode([pictures[0]])
    own = tiny.hf(**encoded.tensors).logits[0, -1]
    hidden = capture(tiny, [pictures[0]]).activation.isel(sample=0, layer=-1, token=0).torch.tensor
    torch.testing.assert_close(lens_logits(tiny, hidden), own.float())
    earlier = capture(tiny, [pictures[0]]).activation.isel(sample=0, layer=0, token=0).torch.tensor
    assert not torch.allclose(lens_logits(tiny, earlier), own.float(), atol=1e-2)


def test_pieces_are_the_whole(tiny, monkeypatch):
    hidden = torch.randn(7, 3, tiny.hidden_size).to(tiny.device)
    vocabulary = lens_logits(tiny, hidden).shape[-1]
    monkeypatch.setattr(projection, "_LOGITS_AT_ONCE", 2 * 3 * vocabulary)
    pieces = list(lens_chunks(tiny, hidden))
    assert [len(piece) for piece in pieces] == [2, 2, 2, 1]
    torch.testing.assert_close(torch.cat(pieces), lens_logits(tiny, hidden))
