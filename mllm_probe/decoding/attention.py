"""Attention of many rows over a prompt whose keys and values exist once.

Every row attends to the prompt's keys (all rows at once, folded into the query axis) and to its own; the two parts are
merged exactly by their log-sum-exp, as in flash-decoding (Dao et al. 2023) and cascade inference (Ye et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments

_NAME_PREFIX = "shared_prefix_"
# The private field, as assigning `config._attn_implementation` sets all sub-configurations (vision tower included), and
# `set_attn_implementation` checks the name first.
FIELD = "_attn_implementation_internal"
# Keyword arguments of an attention function that change scores in ways the split into prompt and suffix does not
# reproduce: they are refused, not ignored.
UNKNOWN = ("softcap", "s_aux", "position_bias", "head_mask")
Output = tuple[Tensor, Tensor | None]
Expand = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_MOST_SCORES = 1 << 26
"""Scores (queries × keys, float32) that the plain formula holds at a time."""


@dataclass(frozen=True)
class Prefix:
    """Keys and values of one prompt [1, heads, tokens, width], and the rows ``start`` … ``stop`` that follow it."""

    start: int
    stop: int
    keys: Tensor
    values: Tensor


@dataclass
class _Attention:
    """Configurations of a model's attention and modules that expand latents, cached with the model."""

    configs: list[Any] | None = None
    expanding: list[Any] | None = None


@contextmanager
def sharing_attention(model: ProbeModel) -> Iterator[None]:
    """Let the text model attend through keys that are marked with :class:`Prefix`, while the ``with`` block runs.

    Keys without a mark go to the attention that the model had before.

    Raises NotImplementedError if the model's attention is not dispatched by name, so that it cannot be exchanged.
    """
    for config in attention_configs(model):
        _register(getattr(config, FIELD))
    with attention_named(model, lambda base: _NAME_PREFIX + base), latents_expanded(model):
        yield


@contextmanager
def attention_named(model: ProbeModel, name: Callable[[str], str]) -> Iterator[None]:
    """Let the text model attend by the function that is registered as ``name(its own)``, while the block runs."""
    changed = [(config, getattr(config, FIELD)) for config in attention_configs(model)]
    with ExitStack() as stack:
        for config, base in changed:
            for _ in range(2):  # Ctrl-C may end the first of them
                stack.callback(setattr, config, FIELD, base)
            setattr(config, FIELD, name(base))
        yield


@contextmanager
def latents_expanded(model: ProbeModel) -> Iterator[None]:
    """Hand marks on where the cache keeps latents that attention makes keys and values of (DeepSeek's, as of 5.24).

    The prompt's are expanded once and stored with its latents.
    """
    cached = model.state.of(_Attention)
    if cached.expanding is None:
        cached.expanding = [module for module in model.layout.backbone.modules() if hasattr(module, "expand_kv")]
    changed = cached.expanding
    with ExitStack() as stack:
        for module in changed:
            for _ in range(2):  # Ctrl-C may end the first of them
                stack.callback(module.__dict__.pop, "expand_kv", None)
            # An attribute of the instance hides the method of its class; popping it brings the method back.
            plain: Any = module.expand_kv
            module.expand_kv = _expanding(plain)
        yield


def _expanding(plain: Expand) -> Expand:
    """``plain``, whose keys carry the mark of the latents that they are made of."""

    def expand(latent: Tensor, rotated: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = plain(latent, rotated)
        if hasattr(latent, "prefixes"):
            keys.prefixes = tuple(_expanded(prefix, plain) for prefix in latent.prefixes)  # type: ignore[attr-defined]
        return keys, values

    return expand


def _expanded(prefix: Prefix, plain: Expand) -> Prefix:
    """The prompt's keys and values, where ``prefix`` holds its latents."""
    # DeepSeek caches a low-rank latent of keys and values and expands it in every call. That of the prompt never
    # changes and all rows share the tensor, so its expansion is stored on the tensor itself and freed with it.
    if not hasattr(prefix.keys, "expanded"):
        prefix.keys.expanded = plain(prefix.keys, prefix.values)  # type: ignore[attr-defined]
    return replace(prefix, keys=prefix.keys.expanded[0], values=prefix.keys.expanded[1])  # type: ignore[attr-defined]


def attention_configs(model: ProbeModel) -> list[Any]:
    """Configurations that the text model's attention is chosen by, each once."""
    cached = model.state.of(_Attention)
    if cached.configs is None:
        all_configs = (getattr(module, "config", None) for module in model.layout.backbone.modules())
        cached.configs = list({id(c): c for c in all_configs if hasattr(c, FIELD)}.values())
    return cached.configs


def _register(base: str | None) -> None:
    """Register the attention that shares a prompt beside ``base``, the attention that it falls back on."""
    if base is None or base not in ALL_ATTENTION_FUNCTIONS:
        raise NotImplementedError(f"attention '{base}' cannot share a prompt's keys; load the model with sdpa.")
    if _NAME_PREFIX + base in ALL_ATTENTION_FUNCTIONS:
        return
    plain = ALL_ATTENTION_FUNCTIONS[base]

    def forward(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **named: Any
    ) -> Output:
        # `PrefixLayer.update` marks the keys that it returns: the model's code between cache and attention must hand on
        # that very tensor. A family that copies it loses the mark and the prompt with it, which the trial of the way
        # finds.
        prefixes = getattr(key, "prefixes", None)
        if prefixes is None:
            return plain(module, query, key, value, attention_mask, **named)
        _refuse(module, attention_mask, named, query.shape[2], key.shape[2])
        return _shared(query, key, value, prefixes, named), None

    ALL_ATTENTION_FUNCTIONS.register(_NAME_PREFIX + base, forward)
    ALL_MASK_ATTENTION_FUNCTIONS.register(_NAME_PREFIX + base, ALL_MASK_ATTENTION_FUNCTIONS[base])


def _shared(query: Tensor, key: Tensor, value: Tensor, prefixes: tuple[Prefix, ...], named: CallArguments) -> Tensor:
    """Attention of a query [rows, heads, n, width] over the prompts and the rows' own suffixes.

    `key`, `value`: Tensor [rows, kv heads, suffix, width], tokens after the prompt alone. `prefixes`: the prompts, in
    the order of the rows that follow them. Returns Tensor [rows, n, heads, value width].
    """
    rows, heads, count, width = query.shape
    scale = named.get("scaling") or width**-0.5
    # Grouped-query attention: the query heads of one kv head lie side by side, so that they fold into the query axis as
    # [kv heads, groups · n] and the keys are not repeated. `attend_last` relies on the order (group, position).
    folded = query.reshape(rows, key.shape[1], -1, width)
    over_suffix = attend_last(folded, key, value, count, scale)
    # No causal mask: every query comes after the whole prompt. The runs cover all rows in order (`_runs`), so that
    # their results only need to be put one after another.
    parts = [attend_prefix(folded[p.start : p.stop], p.keys, p.values, scale) for p in prefixes]
    out, lse = parts[0] if len(parts) == 1 else (torch.cat(part) for part in zip(*parts, strict=True))
    merged = merge(out, lse, *over_suffix)
    return merged.reshape(rows, heads, count, -1).transpose(1, 2).contiguous()


_SEEN: WeakKeyDictionary[nn.Module, set[tuple[int, ...]]] = WeakKeyDictionary()
"""Shapes of masks that hide nothing of the prompt, by the attention that was given them."""


def _refuse(module: nn.Module, mask: object, named: CallArguments, count: int, suffix: int) -> None:
    """Raise where the plain attention would do something else than causal attention over everything.

    `count`: queries. `suffix`: keys after the prompt.
    """
    for name in UNKNOWN:
        if named.get(name) is not None:
            raise NotImplementedError(f"attention with '{name}' cannot share a prompt's keys.")
    if count > 1 and named.get("is_causal") is False and mask is None:
        raise NotImplementedError("attention that is not causal cannot share a prompt's keys.")
    if isinstance(mask, Tensor) and mask.ndim == 4:
        _require_prompt_seen(module, mask, suffix)


def _require_prompt_seen(module: nn.Module, mask: Tensor, suffix: int) -> None:
    """Raise unless a mask lets every query see the whole prompt; the host waits for it once per shape.

    Rows that share a prompt are never padded, so that a block's mask follows from its shape alone. Blocks of one kind
    are given the same tensor.
    """
    shape, known = (*mask.shape, suffix), _SEEN.setdefault(module, set())
    if shape in known:
        return
    if not getattr(mask, "sees_prompt", False):
        # Boolean masks are True where a key is seen, additive ones 0. Reading one waits for the device, so that the
        # tensor, which all blocks of a kind are given, is marked for those that follow.
        seen = mask if mask.dtype == torch.bool else mask == 0
        if not bool(seen[..., : mask.shape[-1] - suffix].all()):
            raise NotImplementedError("a mask that hides parts of the prompt cannot share the prompt's keys.")
        mask.sees_prompt = True  # type: ignore[attr-defined]
    known.add(shape)


def attend_prefix(query: Tensor, keys: Tensor, values: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of rows [rows, kv heads, n, width] over one prompt [1, kv heads, tokens, width].

    Returns Tensor [rows, kv heads, n, value width], Tensor [rows, kv heads, n] float32: the output, and the log-sum-exp
    of the scores.
    """
    rows, heads, count, width = query.shape
    flat = query.transpose(0, 1).reshape(1, heads, rows * count, width)
    out, lse = attend(flat, keys, values, scale=scale)
    out = out.reshape(heads, rows, count, -1).transpose(0, 1)
    return out, lse.reshape(heads, rows, count).transpose(0, 1)


def attend_last(query: Tensor, keys: Tensor, values: Tensor, count: int, scale: float) -> tuple[Tensor, Tensor]:
    """Causal attention of the last ``count`` positions over their own row's keys.

    `query` (Tensor [rows, kv heads, groups * count, width]): query heads of one kv head after one another, see
    :func:`_shared`. `keys`, `values` (Tensor [rows, kv heads, suffix, width]): the last ``count`` are the queries'.
    """
    rows, heads, folded, width = query.shape
    suffix, groups = keys.shape[2], folded // count
    if count == 1:
        return attend(query, keys, values, scale=scale)
    # Kernels align a causal mask at the top left (query 0 sees key 0 alone), which is right only where nothing was fed
    # before; and only with groups as heads, as a folded query axis is not in the order of positions.
    if suffix == count:
        spread = query.reshape(rows, heads * groups, count, width)
        repeated = (t.repeat_interleave(groups, 1) if groups > 1 else t for t in (keys, values))
        out, lse = attend(spread, *repeated, scale=scale, causal=True)
        return out.reshape(rows, heads, folded, -1), lse.reshape(rows, heads, folded)
    # Aligned at the bottom right: query i sees the keys up to suffix − count + i. Repeated for (group, position).
    hidden = torch.ones(count, suffix, dtype=torch.bool, device=query.device).triu(1 + suffix - count)
    return _by_formula(query, keys, values, scale, hidden.repeat(groups, 1))


def attend(query: Tensor, keys: Tensor, values: Tensor, *, scale: float, causal: bool = False) -> tuple[Tensor, Tensor]:
    """Attention with the log-sum-exp of its scores, by the fastest kernel that gives both.

    `query`: Tensor [batch, heads, n, width].
    `keys`: Tensor [batch, heads, tokens, width].
    `values`: Tensor [batch, heads, tokens, value width].
    `causal`: query i sees keys 0 … i; needs as many keys as queries.

    Returns Tensor [batch, heads, n, value width], Tensor [batch, heads, n] float32.
    """
    if causal and query.shape[2] != keys.shape[2]:
        raise ValueError(f"causal attention expects as many keys as queries; got {keys.shape[2]}, {query.shape[2]}.")
    # The kernels below F.scaled_dot_product_attention, which drops the log-sum-exp. It also pads widths to a multiple
    # of 8 for them, so that the formula has to take other widths here. Flash ends at width 256.
    plain, half = torch.ops.aten, query.dtype in (torch.float16, torch.bfloat16)
    same = query.shape[-1] == values.shape[-1] and query.shape[-1] % 8 == 0
    if query.device.type == "cpu" and same:
        return plain._scaled_dot_product_flash_attention_for_cpu(query, keys, values, 0.0, causal, scale=scale)
    if query.device.type == "cuda" and same and half and query.shape[-1] <= 256:
        return plain._scaled_dot_product_flash_attention(query, keys, values, 0.0, causal, False, scale=scale)[:2]
    if query.device.type == "cuda" and same:
        # This kernel pads the log-sum-exp along the queries.
        out, lse, *_ = plain._scaled_dot_product_efficient_attention(
            query, keys, values, None, True, 0.0, causal, scale=scale
        )
        return out, lse[..., : query.shape[2]]
    count = query.shape[2]
    hidden = torch.ones(count, count, dtype=torch.bool, device=query.device).triu(1) if causal else None
    return _by_formula(query, keys, values, scale, hidden)


def _by_formula(
    query: Tensor, keys: Tensor, values: Tensor, scale: float, hidden: Tensor | None
) -> tuple[Tensor, Tensor]:
    """:func:`attend` in plain PyTorch; ``hidden`` (Tensor of bool [n, tokens]): keys that a query does not see."""
    size = max(_MOST_SCORES // max(query.shape[0] * query.shape[1] * keys.shape[2], 1), 1)
    outs, sums = [], []
    for start in range(0, query.shape[2], size):
        scores = (query[:, :, start : start + size] @ keys.transpose(-1, -2)).float() * scale
        if hidden is not None:
            scores.masked_fill_(hidden[start : start + size], -torch.inf)
        # softmax = exp(scores − logsumexp): the log-sum-exp that `merge` needs comes with it. In float32, as the
        # kernels give it: its differences are exponents.
        sums.append(scores.logsumexp(-1))
        outs.append((scores - sums[-1][..., None]).exp_().to(values.dtype) @ values)
    return torch.cat(outs, 2), torch.cat(sums, 2)


def merge(first: Tensor, first_lse: Tensor, second: Tensor, second_lse: Tensor) -> Tensor:
    """Attention over two sets of keys, from the attention and log-sum-exp over each."""
    # out = (e^a·x + e^b·y) / (e^a + e^b) with log-sum-exps a and b: a weighted mean whose weight of x is σ(a − b).
    share = torch.sigmoid(first_lse - second_lse)[..., None]
    return torch.lerp(second.float(), first.float(), share).to(first.dtype)
