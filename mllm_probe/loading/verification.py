"""Verification of a loaded model's parts: each check is a measurement, and the report holds their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum

import torch
import xarray as xr
from torch import Tensor, nn
from transformers.utils import ModelOutput

from mllm_probe.activations.hooks import attached, before_block
from mllm_probe.activations.not_finite import find_fault
from mllm_probe.decoding.shared_prompt import VERIFICATION_TOLERANCE, difference
from mllm_probe.generation import steer
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.inputs import IMAGE, append_tokens
from mllm_probe.models.layout import family_of, why_no_image_tokens
from mllm_probe.steering import Steering
from mllm_probe.typing import JsonObject
from mllm_probe.vectors import vectors_from


class Outcome(Enum):
    """Outcome of a check."""

    PASSED = "passed"
    FAILED = "FAILED"
    DOES_NOT_APPLY = "does not apply"


@dataclass(frozen=True)
class Check:
    """One check: its name, its outcome, and the numbers or the reason."""

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class VerificationReport:
    """All checks of one model.

    Attributes
    ----------
    model, family : str
    parts : str
        Path of the decoder blocks.
    checks : tuple of Check
    """

    model: str
    family: str
    parts: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """True when no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.outcome is Outcome.FAILED)

    def as_json(self) -> JsonObject:
        """The report as plain values: ``model``, ``family``, ``parts``, ``verified`` and ``checks``."""
        checks = [{"name": check.name, "outcome": check.outcome.value, "detail": check.detail} for check in self.checks]
        facts = {"model": self.model, "family": self.family, "parts": self.parts}
        return {**facts, "verified": self.passed, "checks": checks}

    def __str__(self) -> str:
        count = f"({len(self.failures)} of {len(self.checks)} checks failed)"
        verdict = "verified" if self.passed else f"NOT verified {count}"
        lines = [f"{self.model} (family {self.family}): {verdict}"]
        lines += [f"  {check.name:<22} {check.outcome.value:<15} {check.detail}" for check in self.checks]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def require(self) -> None:
        """Raise unless every check passed.

        Raises
        ------
        VerificationError
            Naming the family, the blocks that were tried and the remedy.
        """
        if not self.passed:
            raise VerificationError(self)


class VerificationError(ValueError):
    """A model whose parts do not behave as they should; ``report`` holds all checks."""

    def __init__(self, report: VerificationReport) -> None:
        self.report = report
        failures = "\n".join(f"  {check.name}: {check.detail}" for check in report.failures)
        super().__init__(
            f"{report.model} (family {report.family}) is not what its parts were taken for.\n"
            f"Tried: decoder blocks at {report.parts}. Failed:\n{failures}\n"
            "If these are not the decoder blocks, load the model with Transformers and pass them by hand: "
            "mp.wrap(hf_model, processor, blocks='path.to.layers'); then model.verify() shows every check."
        )


_FLAG = "_output_capturing_hooks_installed"


@contextmanager
def without_new_hooks(hf: nn.Module) -> Iterator[None]:
    """Remove every forward hook that comes onto ``hf`` inside the ``with`` block, and the note that it is installed.

    A hook that Transformers leaves behind would record a block's output before a steering hook that is added
    later has changed it.
    """
    # The flag goes with the hooks: Transformers installs them at the first request for hidden states only, and with the
    # flag left behind it would never do so again.
    before = {module: (set(module._forward_hooks), vars(module).get(_FLAG)) for module in hf.modules()}
    try:
        yield
    finally:
        for module, (hooks, flag) in before.items():
            for identity in set(module._forward_hooks) - hooks:
                del module._forward_hooks[identity]
                module._forward_hooks_with_kwargs.pop(identity, None)
                module._forward_hooks_always_called.pop(identity, None)
            if flag is None:
                vars(module).pop(_FLAG, None)
            else:
                setattr(module, _FLAG, flag)


def hook_count(hf: nn.Module) -> int:
    """Number of forward hooks of any kind on all modules of ``hf``."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in hf.modules())


NEW_TOKENS = 3
_OF_SCALE = "largest difference in units of the logits' scale"

Result = tuple[Outcome, str]


@torch.no_grad()
def verify(model: ProbeModel, encoded: Encoded, quick: bool = False) -> VerificationReport:
    """Check a model on one sample.

    `encoded`: one row with an image. `quick`: only the checks that take a forward or two: hidden states, one edit,
    image tokens.
    """
    layers = list(model.layers)
    edited = [layers[len(layers) // 2]] if quick else layers
    checks: dict[str, Callable[[], Result]] = {
        "hidden states": lambda: hidden_states(model, encoded),
        "edits": lambda: edits(model, encoded, edited),
        "image tokens": lambda: image_tokens(model, encoded),
    }
    if not quick:
        checks |= {
            "strength 0": lambda: strength_zero(model, encoded),
            "cached decoding": lambda: cached_decoding(model, encoded),
            "steered decoding": lambda: steered_decoding(model, encoded),
            "padding": lambda: padding(model, encoded),
        }
    with model.lock.held(), without_new_hooks(model.hf):
        before = hook_count(model.hf)
        results = [_run(name, check) for name, check in checks.items()]
    results.append(_run("nothing left behind", lambda: _same_hooks(before, hook_count(model.hf))))
    return VerificationReport(model.name, model.family, model.layout.paths["blocks"], tuple(results))


def hidden_states(model: ProbeModel, encoded: Encoded) -> Result:
    """Outputs of the blocks against the hidden states that the model reports itself."""
    seen: dict[int, Tensor] = {}
    with attached(model, lambda layer, hidden: seen.__setitem__(layer, hidden)):
        output = _forward(model, encoded, output_hidden_states=True)
    reported = _reported_hidden_states(output)
    if reported is None:
        return Outcome.DOES_NOT_APPLY, "the model reports no hidden states of its own"
    missing = [layer for layer in model.layers if layer not in seen]
    if missing or len(reported) != len(model.layers) + 1:
        return (
            Outcome.FAILED,
            f"{len(model.layers)} blocks, of which {len(seen)} ran; the model reports {len(reported)} hidden states",
        )
    reported = [state[model.layout.stream_index] if state.ndim == 4 else state for state in reported]
    reported = [state.to(seen[max(layer - 1, 0)].device) for layer, state in enumerate(reported)]
    wrong = [layer for layer in model.layers[:-1] if not torch.equal(seen[layer], reported[layer + 1])]
    if not torch.isfinite(reported[-1]).all():
        fault = find_fault(model, encoded)
        return Outcome.FAILED, "NaN or infinity" + (f", first in {fault.site}. {fault.cause}" if fault else "")
    last, normed = seen[model.layers[-1]], _final_norm(model, seen[model.layers[-1]])
    scale = VERIFICATION_TOLERANCE[model.dtype] * float(reported[-1].abs().max())
    if not (torch.equal(last, reported[-1]) or torch.allclose(normed, reported[-1], rtol=0, atol=scale)):
        wrong.append(model.layers[-1])
    if wrong:
        first = f"the output of block {wrong[0]} is not hidden_states[{wrong[0] + 1}]"
        return Outcome.FAILED, f"{first} ({len(wrong)} differ)"
    end = "the last without a norm" if torch.equal(last, reported[-1]) else "the last after the final norm"
    return Outcome.PASSED, f"{len(reported) - 1} blocks equal the model's own, {end}"


def edits(model: ProbeModel, encoded: Encoded, layers: list[int]) -> Result:
    """An edit of a block's output at the last position: exact there, unseen below, seen above and in the logits."""
    clean, logits = _read(model, encoded)
    smallest = float("inf")
    for layer in layers:
        change = _change(clean[layer], layer)
        steered, moved = _read(model, encoded, {layer: change})
        touched = [below for below in range(layer) if not torch.equal(steered[below], clean[below])]
        if touched:
            return Outcome.FAILED, f"an edit at block {layer} changes block {touched[0]} below it"
        if not torch.equal(steered[layer], clean[layer] + change):
            return Outcome.FAILED, f"block {layer} does not keep the edit made at its output"
        if layer + 1 in clean and torch.equal(steered[layer + 1], clean[layer + 1]):
            return Outcome.FAILED, f"an edit at block {layer} does not reach block {layer + 1}"
        smallest = min(smallest, difference(moved[:, -1], logits[:, -1]))
        if smallest <= VERIFICATION_TOLERANCE[model.dtype]:
            return Outcome.FAILED, f"an edit at block {layer} does not reach the logits"
    moves = f"logits move by at least {smallest:.2g} of their scale, nothing below moves"
    return Outcome.PASSED, f"at {len(layers)} block{'s' if len(layers) > 1 else ''}; {moves}"


def image_tokens(model: ProbeModel, encoded: Encoded) -> Result:
    """Other pixels change the input of the first block at image tokens and nowhere else."""
    absent = why_no_image_tokens(model.hf.config)
    if absent:
        return Outcome.DOES_NOT_APPLY, absent
    ours = (encoded.roles[0] == IMAGE).to(model.device)
    if not ours.any():
        return Outcome.FAILED, "no position has the image token, so image tokens could not be steered"
    before, after = (_first_input(model, tensors) for tensors in (encoded.tensors, _other_pixels(encoded)))
    changed = (before != after).any(-1)[0].to(model.device)
    outside = int((changed & ~ours).sum())
    if outside:
        return Outcome.FAILED, f"{outside} positions outside of the image tokens depend on the pixels"
    still = ours & ~changed
    moved = f"{int((changed & ours).sum())} of {int(ours.sum())} image tokens"
    count = f"{moved} change with the pixels, no other position does"
    if not still.any():
        return Outcome.PASSED, count
    constant = torch.unique(before[0, still.to(before.device)], dim=0).shape[0]
    if family_of(model.hf.config).discrete_images and changed.any():
        return Outcome.PASSED, f"{count} (images become entries of a code book)"
    if changed.any() and constant == 1:
        return Outcome.PASSED, f"{count} (the others are line ends)"
    return Outcome.FAILED, count


def strength_zero(model: ProbeModel, encoded: Encoded) -> Result:
    """Steering every position at every block with strength 0 gives the baseline, token for token."""
    nothing = Steering(_random_vector(model), layers="all", strength=0.0, unit="raw", tokens="all")
    plain, steered = (_answer(model, encoded, row) for row in (None, nothing))
    if not torch.equal(plain[0], steered[0]):
        return Outcome.FAILED, "another answer than the unsteered one"
    error = float((steered[1] - plain[1]).where(steered[1] != plain[1], 0.0).abs().max())
    return _within(error, 1e-5 if model.dtype == torch.float32 else 0.0, "largest difference of a logit")


def cached_decoding(model: ProbeModel, encoded: Encoded) -> Result:
    """Token-by-token generation with the cache against one forward over prompt and answer."""
    tokens, stepwise = _answer(model, encoded, None)
    at_once = _whole(model, encoded, tokens)()
    return _within(difference(stepwise, at_once), VERIFICATION_TOLERANCE[model.dtype], _OF_SCALE)


def steered_decoding(model: ProbeModel, encoded: Encoded) -> Result:
    """Steered token-by-token generation against one forward over prompt and answer with the vector added by hand."""
    layer = len(model.layers) // 2
    vectors = _random_vector(model)
    steering = Steering(vectors, layers=layer, strength=1.0, unit="raw", tokens=("last_prompt", "generated"))
    tokens, stepwise = _answer(model, encoded, steering)
    vector = torch.as_tensor(vectors["vector"].isel(scope=0, layer=layer).values)
    first = encoded.prompt_length - 1

    def add(_: int, hidden: Tensor) -> Tensor:
        return torch.cat([hidden[:, :first], hidden[:, first:] + vector.to(hidden)], 1)

    forward = _whole(model, encoded, tokens)
    unsteered = forward()
    with attached(model, add, layers=[layer]):
        by_hand = forward()
    if difference(by_hand, unsteered) <= VERIFICATION_TOLERANCE[model.dtype]:
        return Outcome.FAILED, "the vector does not move the logits of the answer"
    return _within(difference(stepwise, by_hand), VERIFICATION_TOLERANCE[model.dtype], _OF_SCALE)


def padding(model: ProbeModel, encoded: Encoded) -> Result:
    """A padded row of a batch against the same row alone."""
    if "decoder_input_ids" in encoded.tensors:
        return Outcome.DOES_NOT_APPLY, "the decoder's prompt is one start token in every row"
    short = {name: value.cpu() for name, value in encoded.tensors.items()}
    kind = family_of(model.hf.config).prompt_type or 0
    longer = append_tokens(short, [short["input_ids"][0, -1:].tolist() * 3], model.pad_token_id, kind)
    both = model.encode(None, inputs=[short, longer])
    alone, batch = (_read(model, inputs)[0] for inputs in (encoded, both))
    length = encoded.length
    errors = [difference(batch[layer][:1, -length:], alone[layer]) for layer in model.layers]
    return _within(
        max(errors), VERIFICATION_TOLERANCE[model.dtype], "largest difference of a hidden state in units of its scale"
    )


def _random_vector(model: ProbeModel) -> xr.Dataset:
    direction = torch.randn(model.hidden_size, generator=torch.Generator().manual_seed(0))
    return vectors_from(model, {"random": direction.numpy()}, scope="last_prompt").sel(concept="random")


def _answer(model: ProbeModel, encoded: Encoded, steering: Steering | None) -> tuple[Tensor, Tensor]:
    """Greedy tokens [1, steps] and their logits [1, steps, vocabulary], decoded with the cache."""
    with steer(model, steering):
        answer = model.hf.generate(
            **encoded.tensors,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            suppress_tokens=_placeholders(model),
            output_logits=True,
            return_dict_in_generate=True,
        )
    return answer.sequences[:, -NEW_TOKENS:], torch.stack([step.float() for step in answer.logits], 1)


def _placeholders(model: ProbeModel) -> list[int]:
    """Ids of images, videos and audio: an untrained model may generate one, which would have no features."""
    named = {name: value for name, value in vars(model.hf.config).items() if name.endswith(("token_id", "token_index"))}
    ids = {value for value in named.values() if isinstance(value, int)} | {model.layout.image_token_id}
    return sorted(i for i in ids - model.eos_token_ids if i is not None and i >= 0) or [model.pad_token_id]


def _whole(model: ProbeModel, encoded: Encoded, tokens: Tensor) -> Callable[[], Tensor]:
    """A forward over prompt and answer at once, without a cache, that gives the logits of the answer."""
    kind = family_of(model.hf.config).continuation_type
    tensors = append_tokens(encoded.tensors, tokens[:, :-1].tolist(), model.pad_token_id, kind)
    return lambda: model.hf(**tensors, use_cache=False).logits[:, -NEW_TOKENS:].float()


def _run(name: str, check: Callable[[], Result]) -> Check:
    try:
        outcome, detail = check()
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError) as error:
        outcome, detail = Outcome.FAILED, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return Check(name, outcome, detail)


def _same_hooks(before: int, after: int) -> Result:
    if before == after:
        return Outcome.PASSED, f"{after} hooks on the model before and after"
    return Outcome.FAILED, f"{after} hooks on the model, {before} before"


def _within(error: float, bound: float, what: str) -> Result:
    return (Outcome.PASSED if error <= bound else Outcome.FAILED), f"{what}: {error:.1e} (allowed {bound:.1e})"


def _forward(model: ProbeModel, encoded: Encoded, **options: bool) -> ModelOutput:
    return model.hf(**encoded.tensors, use_cache=False, return_dict=True, **options)


def _read(
    model: ProbeModel, encoded: Encoded, add: dict[int, Tensor] | None = None
) -> tuple[dict[int, Tensor], Tensor]:
    """Outputs of all blocks and the logits; ``add`` changes outputs first; outputs are read as the model keeps them."""
    seen: dict[int, Tensor] = {}
    changes = add or {}
    with (
        attached(model, lambda layer, hidden: hidden + changes[layer], layers=changes) if changes else nullcontext(),
        attached(model, lambda layer, hidden: seen.__setitem__(layer, hidden)),
    ):
        logits = _forward(model, encoded).logits
    return seen, logits.float()


def _change(hidden: Tensor, seed: int) -> Tensor:
    """A random change of the last position, as large as the state."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(hidden.shape[-1], generator=generator).to(hidden)
    change = torch.zeros_like(hidden)
    change[:, -1] = direction / direction.norm() * hidden[:, -1].norm(dim=-1, keepdim=True)
    return change


def _first_input(model: ProbeModel, tensors: dict[str, Tensor]) -> Tensor:
    seen: list[Tensor] = []

    def on_input(_: int, hidden: Tensor) -> None:
        seen.append(hidden.detach().clone())

    with before_block(model, on_input, layers=[0]):
        model.hf(**tensors, use_cache=False)
    return seen[0]


def _other_pixels(encoded: Encoded) -> dict[str, Tensor]:
    """The sample with other values of the same size wherever its tensors hold floating-point numbers."""
    generator = torch.Generator().manual_seed(0)

    def other(name: str, value: Tensor) -> Tensor:
        noise = torch.rand(value.shape, generator=generator).to(value)
        changed = value.min() + (value.max() - value.min()) * noise
        if name == "flattened_patches":  # each begins with its row and column in the image
            changed[..., :2] = value[..., :2]
        return changed

    return {name: other(name, v) if v.is_floating_point() else v for name, v in encoded.tensors.items()}


def _final_norm(model: ProbeModel, hidden: Tensor) -> Tensor:
    norm = model.layout.final_norm
    return hidden if norm is None else norm(hidden)


def _reported_hidden_states(output: ModelOutput) -> list[Tensor] | None:
    for source in (output, getattr(output, "language_model_outputs", None)):
        for name in ("decoder_hidden_states", "hidden_states"):
            states = getattr(source, name, None)
            if states is not None:
                return list(states)
    return None
