"""Choosing how rows share a prompt: the cheapest way that this very model computes exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mllm_probe.activations.not_finite import is_finite, require_finite
from mllm_probe.decoding.agreement import REFUSALS, difference, tolerance
from mllm_probe.decoding.attention import FIELD, attention_configs
from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.encoded_pictures import with_pictures_encoded
from mllm_probe.decoding.kept_ways import Verdict, keep_verdict, read_verdict, verdict_key
from mllm_probe.decoding.prefix import CopiedPrefix, SharedPrefix
from mllm_probe.decoding.replay import Replay
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.decoding.rows import whole_forward
from mllm_probe.decoding.shared import NOTHING, Shared, UneditedPart, WholeForwards
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import ROLES
from mllm_probe.typing import JsonObject


@dataclass(frozen=True)
class Path:
    """A chosen way of sharing a prompt.

    `one_by_one`: several tokens are fed as single steps. `tried`: ways that were refused, and why.
    """

    kind: type[Shared]
    one_by_one: bool = False
    tried: dict[str, str] = field(default_factory=dict)

    def open(self, model: ProbeModel, encoded: Encoded, read_layers: Iterable[int] = ()) -> Shared:
        """What the rows of one sample share; of ``read_layers``, also the unedited outputs that no row will compute."""
        return self.kind(model, with_pictures_encoded(model, encoded), self.one_by_one, read_layers)

    def open_to_try(self, model: ProbeModel, encoded: Encoded) -> Shared:
        """The same, with what :func:`choose_path` compares the model's cached decoding with."""
        if not issubclass(self.kind, SharedPrefix):
            return self.open(model, encoded)
        return self.kind(model, with_pictures_encoded(model, encoded), self.one_by_one, ending=_ENDING + 1)

    def __str__(self) -> str:
        return self.kind.path + (", token by token" if self.one_by_one else "")


PROMPT_WAYS: tuple[type[Shared], ...] = (Resume, CopiedResume, Replay)
"""Ways for edits of the prompt, the cheapest first."""
NEXT_WAYS: tuple[type[Shared], ...] = (DepthPrefix, SharedPrefix, CopiedPrefix)
"""Cheaper ones for edits from the prompt's last token on."""
OnOpened = Callable[[Shared], object]
_ENDING = 3
"""Tokens at the end of a prompt for which cached decoding is to give what the prefill gave."""
_LIMITS = ("sliding_window", "attention_chunk_size", "original_max_position_embeddings", "max_position_embeddings")
"""Lengths at which a text model begins to compute in another way."""
Kind = tuple[bool, bool, tuple[Any, ...], frozenset[str], int, tuple[bool, ...]]


@dataclass
class ChosenPaths:
    """Ways that were chosen for a model, by kind of scope and of sample; kept with it."""

    by_kind: dict[Kind, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """Rows that a way is tried with, and the batches of them that it runs.

    `edits`: ``edits(rows)`` gives a fresh context in which a batch of these rows is edited, whatever way they are fed.
    `batches`: numbers of a batch's rows, and the blocks and columns that the way may take as unedited. A row of several
    batches is compared with the same whole forward.
    """

    rows: int
    edits: Callable[[Sequence[int]], AbstractContextManager[Any]]
    batches: Sequence[tuple[Sequence[int], UneditedPart]]


def choose_path(
    model: ProbeModel,
    encoded: Encoded,
    trial: Trial,
    *,
    prompt_edited: bool,
    input_edited: bool = False,
    on_opened: OnOpened = lambda _: None,
) -> Path:
    """The cheapest exact way, tested against whole forwards once per architecture, kind of scope and kind of sample.

    The verdict is kept with the model, and in the user's cache for other models of the architecture, see
    :func:`mllm_probe.decoding.kept_ways.verdict_key`; one from there is checked by one comparison.

    `encoded`: one sample.
    `trial`: rows to try it with. The result is kept for all rows of the kind, so the trial has to cover them.
    `prompt_edited`: whether tokens before the last of the prompt are edited.
    `input_edited`: whether the input of block 0 is among what is edited.
    `on_opened`: is given what the rows of ``encoded`` share by the chosen way, where it was opened to try it.

    Returns: logits agree within 1e-4 of their scale in float32. In half precision within 5 %, which shows a wrong mask
    or position but not rounding. From an unedited prompt, they agree so with the model's own cached decoding, and this
    with the prefill at the last tokens of the prompt, or else with whole forwards.
    """
    known = known_path(model, encoded, prompt_edited=prompt_edited, input_edited=input_edited)
    if known is None:
        kind = _kind(model, encoded, prompt_edited, input_edited)
        key = verdict_key(model, kind)
        known = _read(model, encoded, trial, key, prompt_edited, on_opened)
        if known is None:
            known = _tested(model, encoded, trial, prompt_edited, on_opened)
            # What shares nothing is tried again: a way may have failed for want of something that is there next time.
            shares = known.kind is not WholeForwards
            keep_verdict(key, Verdict(known.kind.__name__, known.one_by_one, known.tried) if shares else None)
        model.state.of(ChosenPaths).by_kind[kind] = known
    return known


def _ways(prompt_edited: bool) -> tuple[type[Shared], ...]:
    return PROMPT_WAYS if prompt_edited else (*NEXT_WAYS, *PROMPT_WAYS)


def _read(
    model: ProbeModel, encoded: Encoded, trial: Trial, key: JsonObject, prompt_edited: bool, on_opened: OnOpened
) -> Path | None:
    """The way that the user's cache names, where the first batch of the trial agrees."""
    ways = {kind.__name__: kind for kind in _ways(prompt_edited)}
    verdict = read_verdict(key, ways)
    if verdict is None:
        return None
    path = Path(ways[verdict.way], verdict.one_by_one, verdict.tried)
    tokens = _by_row(trial_tokens(model, encoded, 3), trial.rows)
    first = replace(trial, batches=trial.batches[:1])
    rows = list(first.batches[0][0])
    try:
        shared = path.open(model, encoded)
        if isinstance(shared, SharedPrefix) and not isinstance(shared, CopiedPrefix):
            # That cached decoding equals whole forwards is the architecture's, which the verdict is kept by; what runs
            # otherwise on another machine is the package's own attention and grouping of rows.
            found = _decoded(shared, first, tokens, rows, one_by_one=True)
        else:
            found = _whole(model, encoded, first, tokens, rows)
        expected = found.new_zeros(trial.rows, *found.shape[1:])
        expected[rows] = found
        largest = _largest_difference(shared, first, expected, tokens)
    except torch.OutOfMemoryError:
        raise
    except REFUSALS:
        return None
    if largest > tolerance(model.dtype):
        return None
    on_opened(shared)
    return path


def known_path(model: ProbeModel, encoded: Encoded, *, prompt_edited: bool, input_edited: bool = False) -> Path | None:
    """The path chosen for samples of this kind, None before the first trial."""
    return model.state.of(ChosenPaths).by_kind.get(_kind(model, encoded, prompt_edited, input_edited))


def _kind(model: ProbeModel, encoded: Encoded, prompt_edited: bool, input_edited: bool) -> Kind:
    """What a way may depend on: attention, tensors there are, one image or several, limits that the prompt passes."""
    config = text_config(model.hf)
    rotary = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    limits = [getattr(config, name, None) or rotary.get(name) for name in _LIMITS]
    passed = tuple(isinstance(limit, int) and encoded.length > limit for limit in limits)
    image = (encoded.roles[0] == ROLES.index("image")).int()
    beginnings = int((image.diff(prepend=image.new_zeros(1)) == 1).sum())
    attention = tuple(getattr(config, FIELD) for config in attention_configs(model))
    return prompt_edited, input_edited, attention, frozenset(encoded.tensors), min(beginnings, 2), passed


def _tested(model: ProbeModel, encoded: Encoded, trial: Trial, prompt_edited: bool, on_opened: OnOpened) -> Path:
    tokens = _by_row(trial_tokens(model, encoded, 3), trial.rows)
    expected: Tensor | None = None
    tried: dict[str, str] = {}
    for kind in _ways(prompt_edited):
        for one_by_one in (False, True):
            path = Path(kind, one_by_one, tried)
            with _noting(path, tried):
                shared = path.open_to_try(model, encoded)
                expected = _expected(shared, trial, tokens) if expected is None else expected
                largest = _largest_difference(shared, trial, expected, tokens)
                if largest > tolerance(model.dtype):
                    tried[str(path)] = f"logits differ from whole forwards by {largest:.1e} of their scale"
            if expected is not None and not is_finite(expected).all():
                require_finite(model, encoded)  # no way can be told right by numbers that are none
            if str(path) not in tried:
                on_opened(shared)
                return path
    if expected is None:
        _whole(model, encoded, trial, tokens, [0])  # what fails even so is no way's fault, and is raised
    return Path(WholeForwards, False, tried)


@contextmanager
def _noting(path: Path, tried: dict[str, str]) -> Iterator[None]:
    """Note why a way was refused; memory that is lacking is no refusal."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except REFUSALS as error:
        tried[str(path)] = f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _expected(shared: Shared, trial: Trial, tokens: Tensor) -> Tensor:
    """Logits [rows, 1 + tokens, vocabulary] that the rows are compared with: those of whole forwards.

    From an unedited prompt, the model's own cached decoding gives them where it gives what the prefill, a whole forward
    itself, gave for the end of the prompt: another forward of this length would be most of a trial's time.
    """
    model, encoded, rows = shared.model, shared.encoded, list(range(trial.rows))
    if not isinstance(shared, SharedPrefix):
        return _whole(model, encoded, trial, tokens, rows)
    if _decodes_as_it_prefills(shared):
        return _decoded(shared, trial, tokens, rows, one_by_one=False)
    # Caches that cannot be cut back, and attention that reads a prompt in both directions: one row tells.
    decoded = _decoded(shared, trial, tokens, rows, one_by_one=True)
    first = _whole(model, encoded, trial, tokens, rows[:1])
    equal = difference(decoded[:1], first) <= tolerance(model.dtype)
    others = decoded[1:] if equal else _whole(model, encoded, trial, tokens, rows[1:])
    return torch.cat([first, others])


def _decodes_as_it_prefills(shared: SharedPrefix) -> bool:
    """Whether the last tokens of the prefill give the same logits where they are fed to a cache of those before."""
    ids = shared.encoded.tensors["input_ids"][:1, -1 - _ENDING : -1]
    try:
        found = shared.before_the_end(_ENDING).feed(ids)
    except torch.OutOfMemoryError:
        raise
    except REFUSALS:
        return False
    return difference(found, shared.logits[:, -_ENDING:]) <= tolerance(shared.model.dtype)


def _whole(model: ProbeModel, encoded: Encoded, trial: Trial, tokens: Tensor, rows: Sequence[int]) -> Tensor:
    """Logits of some rows by whole forwards."""
    read = tokens.shape[1] + 1
    with trial.edits(rows):
        return whole_forward(model, encoded, tokens[rows], read)[:, -read:]


def _decoded(shared: SharedPrefix, trial: Trial, tokens: Tensor, rows: Sequence[int], *, one_by_one: bool) -> Tensor:
    """Logits of some rows by the model's own cached decoding, from the prefill that is there."""
    with trial.edits(rows):
        copied = shared.copied(len(rows), one_by_one=one_by_one)
        return torch.cat([copied.logits[:, None], copied.feed(tokens[rows])], 1)


def trial_tokens(model: ProbeModel, encoded: Encoded, count: int) -> Tensor:
    """Ids [1, count] to feed after a prompt: its last ones but image tokens, which no model takes without an image."""
    ids, image = encoded.tensors["input_ids"][:1], model.layout.image_token_id
    text = ids[:, ids[0] != (-1 if image is None else image)]
    return torch.cat([ids.new_full((1, count), model.pad_token_id), text], 1)[:, -count:]


def _largest_difference(shared: Shared, trial: Trial, expected: Tensor, tokens: Tensor) -> float:
    """Largest difference over all batches, or that of the first one that is too large."""
    largest = 0.0
    for rows, unedited_part in trial.batches:
        chosen = list(rows)
        for logits in _followed(shared, trial, chosen, unedited_part, tokens[chosen]):
            largest = max(largest, difference(logits, expected[chosen]))
        if largest > tolerance(shared.model.dtype):
            break
    return largest


def _followed(
    shared: Shared, trial: Trial, chosen: Sequence[int], unedited_part: UneditedPart, tokens: Tensor
) -> Iterator[Tensor]:
    """Logits after the prompt and each token, of a batch and of a fork of it."""
    with trial.edits(chosen):
        rows = shared.start(len(chosen), unedited_part)
        first = rows.logits[:, None]
        if unedited_part == NOTHING:
            # Rows that start without their unedited part are a slider's: the answer's beginning is fed at once, and
            # nothing is forked.
            yield torch.cat([first, rows.feed(tokens)], 1)
            return
        fork = rows.fork(range(len(chosen)))
        yield torch.cat([first, rows.feed(tokens[:, :1]), rows.feed(tokens[:, 1:])], 1)
    with trial.edits(chosen):
        yield torch.cat([first, fork.feed(tokens)], 1)


def _by_row(tokens: Tensor, rows: int) -> Tensor:
    """Tokens [1, 3] for every row, from the second on in another order for all rows but the first."""
    fed = tokens.repeat(rows, 1)
    # Rows of different histories show a way that confuses rows, which equal tokens would hide.
    fed[1:, 1:] = tokens[:, [0, 1]]
    return fed
