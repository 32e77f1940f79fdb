"""Greedy choice of the next tokens as ``hf.generate`` makes it with a model's own settings, where these are simple."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import GenerationMixin, RepetitionPenaltyLogitsProcessor

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_HARMLESS = frozenset(
    {
        "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "repetition_penalty", "do_sample",
        "temperature", "top_k", "top_p", "min_p", "typical_p", "renormalize_logits", "max_length", "max_new_tokens",
        "use_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits",
        "return_dict_in_generate", "_from_model_config", "transformers_version", "trust_remote_code",
    }
)  # fmt: skip
"""Settings that change nothing in a greedy answer, or are followed here."""
_OVERRIDDEN = ("generate", "_sample", "_get_logits_processor")
_GREEDY = {"do_sample": False, "num_beams": 1, "num_return_sequences": 1}


def is_plain_greedy(model: ProbeModel, options: Mapping[str, object]) -> bool:
    """Whether ``hf.generate`` with these options takes the best token of each step, as :class:`Greedy` does."""
    if any(name not in _GREEDY or value != _GREEDY[name] for name, value in options.items()):
        return False
    own = type(model.hf)
    if any(getattr(own, name, None) is not getattr(GenerationMixin, name, None) for name in _OVERRIDDEN):
        return False
    config = model.hf.generation_config
    return set(config.to_diff_dict()) <= _HARMLESS and config.use_cache is not False


class Greedy:
    """The next tokens of rows of one prompt, one step after another.

    `prompt` (Tensor [1, tokens] int64): token ids before the first generated token, the answer prefix included.
    """

    def __init__(self, model: ProbeModel, prompt: Tensor, rows: int) -> None:
        config = model.hf.generation_config
        ends = config.eos_token_id
        ends = [] if ends is None else ends if isinstance(ends, (list, tuple)) else [ends]
        self.ends = torch.tensor(list(ends), dtype=torch.long, device=prompt.device)
        self.pad = model.pad_token_id
        self.finished = torch.zeros(rows, dtype=torch.bool, device=prompt.device)
        penalty = config.repetition_penalty
        self.penalty = RepetitionPenaltyLogitsProcessor(penalty) if penalty not in (None, 1.0) else None
        self.fed = prompt.expand(rows, -1) if self.penalty is not None else None

    def choose(self, logits: Tensor) -> Tensor:
        """Tokens [rows] from logits [rows, vocabulary]; padding where the answer has ended."""
        scores = logits.float()
        if self.penalty is not None:
            scores = self.penalty(self.fed, scores.clone())
        following = scores.argmax(-1)
        if len(self.ends):
            following = torch.where(self.finished, self.pad, following)
            self.finished |= torch.isin(following, self.ends)
        if self.fed is not None:
            self.fed = torch.cat([self.fed, following[:, None]], 1)
        return following
