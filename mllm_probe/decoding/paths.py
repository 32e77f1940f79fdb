"""Choosing how rows share a prompt: the cheapest way that this model computes exactly, its kept verdicts, packs."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from mllm_probe import schema
from mllm_probe.activations.not_finite import is_finite, require_finite
from mllm_probe.decoding.attention import FIELD, attention_configs
from mllm_probe.decoding.depth import DepthPrefix, start_rows
from mllm_probe.decoding.prefix import CopiedPrefix, SharedPrefix
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.decoding.rows import CachedRows, steps_know_sample, whole_forward, with_images_encoded
from mllm_probe.decoding.shared_prompt import (
    REFUSALS,
    UNEDITED_NONE,
    Replay,
    Shared,
    SharedPrefixSpan,
    WholeForwards,
    difference,
    tolerance,
)
from mllm_probe.models.argument_checks import cache_root
from mllm_probe.models.fingerprints import architecture
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import ROLES
from mllm_probe.typing import JsonObject

FOLDER = "MLLM_PROBE_WAYS"
"""Environment variable: another folder for the verdicts, or ``off`` to keep none on the disk."""
_FORMAT = 1
_OFF = "off"
_MOST_BYTES, _MOST_TEXT, _MOST_TRIED = 1 << 16, 400, 20


@dataclass(frozen=True)
class Verdict:
    """Decoding path that was verified as exact, and those that were refused before it.

    `way`: name of a class of :mod:`mllm_probe.decoding`. `tried`: refused ways, and why.
    """

    way: str
    token_by_token: bool
    tried: dict[str, str] = field(default_factory=dict)


def folder() -> Path | None:
    """Where verdicts are kept, None where the environment says that none are."""
    given = os.environ.get(FOLDER)
    return None if given == _OFF else Path(given) if given else cache_root() / "ways"


def verdict_key(model: ProbeModel, kind: object) -> JsonObject:
    """Everything that a verdict may depend on but the weights.

    `kind`: of the scope and sample: what JSON can write. Returns: architecture, attention, type, device type, library
    versions and the package's own code.
    """
    versions = {name: value for name, value in schema.dependency_versions().items() if name != "xarray"}
    key = {
        "format": _FORMAT, **architecture(model.hf), "kind": kind, "dtype": str(model.dtype),
        "device": model.device.type, "versions": versions, "code": _code_hash(),
    }  # fmt: skip
    plain: JsonObject = json.loads(json.dumps(key, default=sorted))
    return plain


def read_verdict(key: JsonObject, ways: Mapping[str, Any]) -> Verdict | None:
    """The verdict that is kept under a key; None without one, and for a file that is not what this package writes.

    `key`: of :func:`verdict_key`. `ways`: names of the ways that there are.
    """
    path = _file(key)
    if path is None:
        return None
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return _checked(stored, key, ways)


def _checked(stored: object, key: JsonObject, ways: Mapping[str, Any]) -> Verdict | None:
    if not isinstance(stored, dict) or set(stored) != {"key", "way", "one_by_one", "tried"} or stored["key"] != key:
        return None
    way, token_by_token, tried = stored["way"], stored["one_by_one"], stored["tried"]
    if (
        not isinstance(way, str)
        or way not in ways
        or not isinstance(token_by_token, bool)
        or not isinstance(tried, dict)
    ):
        return None
    texts = [text for pair in tried.items() for text in pair]
    plain = all(isinstance(text, str) and text.isprintable() and len(text) <= _MOST_TEXT for text in texts)
    return Verdict(way, token_by_token, tried) if plain and len(tried) <= _MOST_TRIED else None


def keep_verdict(key: JsonObject, verdict: Verdict | None) -> None:
    """Keep a verdict, or with None forget the one that is there; a folder that cannot be written to is left alone."""
    path = _file(key)
    if path is None:
        return
    with suppress(OSError):
        if verdict is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"key": key, "way": verdict.way, "one_by_one": verdict.token_by_token, "tried": verdict.tried}
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _file(key: JsonObject) -> Path | None:
    where = folder()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    return None if where is None else where / f"{name}.json"


@cache
def _code_hash() -> str:
    """Hash of the ways' own sources: a verdict on other code says nothing."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class DecodingPath:
    """A chosen way of sharing a prompt.

    `token_by_token`: several tokens are fed as single steps. `tried`: ways that were refused, and why.
    """

    kind: type[Shared]
    token_by_token: bool = False
    tried: dict[str, str] = field(default_factory=dict)

    def open(self, model: ProbeModel, encoded: Encoded, read_layers: Iterable[int] = ()) -> Shared:
        """State that the rows of a sample share; of ``read_layers``, also the unedited outputs that no row computes."""
        return self.kind(model, with_images_encoded(model, encoded), self.token_by_token, read_layers)

    def open_to_try(self, model: ProbeModel, encoded: Encoded) -> Shared:
        """The same, with what :func:`choose_path` compares the model's cached decoding with."""
        if not issubclass(self.kind, SharedPrefix):
            return self.open(model, encoded)
        return self.kind(model, with_images_encoded(model, encoded), self.token_by_token, ending=_ENDING + 1)

    def __str__(self) -> str:
        return self.kind.path + (", token by token" if self.token_by_token else "")


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

    by_kind: dict[Kind, DecodingPath] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """Rows that a way is tried with, and the batches of them that it runs.

    `edits`: ``edits(rows)`` gives a fresh context in which a batch of these rows is edited, whatever way they are fed.
    `batches`: numbers of a batch's rows, and the blocks and columns that the way may take as unedited. A row of several
    batches is compared with the same whole forward.
    """

    rows: int
    edits: Callable[[Sequence[int]], AbstractContextManager[Any]]
    batches: Sequence[tuple[Sequence[int], SharedPrefixSpan]]


def choose_path(
    model: ProbeModel,
    encoded: Encoded,
    trial: Trial,
    *,
    prompt_edited: bool,
    input_edited: bool = False,
    on_opened: OnOpened = lambda _: None,
) -> DecodingPath:
    """The cheapest exact way, tested against whole forwards once per architecture, kind of scope and kind of sample.

    The verdict is kept with the model, and in the user's cache for other models of the architecture, see
    :func:`mllm_probe.decoding.paths.verdict_key`; one from there is checked by one comparison.

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
            keep_verdict(key, Verdict(known.kind.__name__, known.token_by_token, known.tried) if shares else None)
        model.state.of(ChosenPaths).by_kind[kind] = known
    return known


def _ways(prompt_edited: bool) -> tuple[type[Shared], ...]:
    return PROMPT_WAYS if prompt_edited else (*NEXT_WAYS, *PROMPT_WAYS)


def _read(
    model: ProbeModel, encoded: Encoded, trial: Trial, key: JsonObject, prompt_edited: bool, on_opened: OnOpened
) -> DecodingPath | None:
    """The way that the user's cache names, where the first batch of the trial agrees."""
    ways = {kind.__name__: kind for kind in _ways(prompt_edited)}
    verdict = read_verdict(key, ways)
    if verdict is None:
        return None
    path = DecodingPath(ways[verdict.way], verdict.token_by_token, verdict.tried)
    tokens = _by_row(trial_tokens(model, encoded, 3), trial.rows)
    first = replace(trial, batches=trial.batches[:1])
    rows = list(first.batches[0][0])
    try:
        shared = path.open(model, encoded)
        if isinstance(shared, SharedPrefix) and not isinstance(shared, CopiedPrefix):
            # That cached decoding equals whole forwards is the architecture's, which the verdict is kept by; what runs
            # otherwise on another machine is the package's own attention and grouping of rows.
            logits = _decoded(shared, first, tokens, rows, token_by_token=True)
        else:
            logits = _whole(model, encoded, first, tokens, rows)
        expected = logits.new_zeros(trial.rows, *logits.shape[1:])
        expected[rows] = logits
        largest = _largest_difference(shared, first, expected, tokens)
    except torch.OutOfMemoryError:
        raise
    except REFUSALS:
        return None
    if largest > tolerance(model.dtype):
        return None
    on_opened(shared)
    return path


def known_path(
    model: ProbeModel, encoded: Encoded, *, prompt_edited: bool, input_edited: bool = False
) -> DecodingPath | None:
    """The path chosen for samples of this kind, None before the first trial."""
    return model.state.of(ChosenPaths).by_kind.get(_kind(model, encoded, prompt_edited, input_edited))


def _kind(model: ProbeModel, encoded: Encoded, prompt_edited: bool, input_edited: bool) -> Kind:
    """Facts that a path may depend on: attention, tensors, one image or several, limits that the prompt passes."""
    config = text_config(model.hf)
    rotary = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    limits = [getattr(config, name, None) or rotary.get(name) for name in _LIMITS]
    passed = tuple(isinstance(limit, int) and encoded.length > limit for limit in limits)
    image = (encoded.roles[0] == ROLES.index("image")).int()
    beginnings = int((image.diff(prepend=image.new_zeros(1)) == 1).sum())
    attention = tuple(getattr(config, FIELD) for config in attention_configs(model))
    return prompt_edited, input_edited, attention, frozenset(encoded.tensors), min(beginnings, 2), passed


def _tested(
    model: ProbeModel, encoded: Encoded, trial: Trial, prompt_edited: bool, on_opened: OnOpened
) -> DecodingPath:
    tokens = _by_row(trial_tokens(model, encoded, 3), trial.rows)
    expected: Tensor | None = None
    tried: dict[str, str] = {}
    for kind in _ways(prompt_edited):
        for token_by_token in (False, True):
            path = DecodingPath(kind, token_by_token, tried)
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
    return DecodingPath(WholeForwards, False, tried)


@contextmanager
def _noting(path: DecodingPath, tried: dict[str, str]) -> Iterator[None]:
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
        return _decoded(shared, trial, tokens, rows, token_by_token=False)
    # Caches that cannot be cut back, and attention that reads a prompt in both directions: one row tells.
    decoded = _decoded(shared, trial, tokens, rows, token_by_token=True)
    first = _whole(model, encoded, trial, tokens, rows[:1])
    equal = difference(decoded[:1], first) <= tolerance(model.dtype)
    others = decoded[1:] if equal else _whole(model, encoded, trial, tokens, rows[1:])
    return torch.cat([first, others])


def _decodes_as_it_prefills(shared: SharedPrefix) -> bool:
    """Whether the last tokens of the prefill give the same logits where they are fed to a cache of those before."""
    ids = shared.encoded.tensors["input_ids"][:1, -1 - _ENDING : -1]
    try:
        logits = shared.before_the_end(_ENDING).feed(ids)
    except torch.OutOfMemoryError:
        raise
    except REFUSALS:
        return False
    return difference(logits, shared.logits[:, -_ENDING:]) <= tolerance(shared.model.dtype)


def _whole(model: ProbeModel, encoded: Encoded, trial: Trial, tokens: Tensor, rows: Sequence[int]) -> Tensor:
    """Logits of some rows by whole forwards."""
    read = tokens.shape[1] + 1
    with trial.edits(rows):
        return whole_forward(model, encoded, tokens[rows], read)[:, -read:]


def _decoded(
    shared: SharedPrefix, trial: Trial, tokens: Tensor, rows: Sequence[int], *, token_by_token: bool
) -> Tensor:
    """Logits of some rows by the model's own cached decoding, from the prefill that is there."""
    with trial.edits(rows):
        copied = shared.copied(len(rows), token_by_token=token_by_token)
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
    shared: Shared, trial: Trial, chosen: Sequence[int], unedited_part: SharedPrefixSpan, tokens: Tensor
) -> Iterator[Tensor]:
    """Logits after the prompt and each token, of a batch and of a fork of it."""
    with trial.edits(chosen):
        rows = shared.start(len(chosen), unedited_part)
        first = rows.logits[:, None]
        if unedited_part == UNEDITED_NONE:
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


class PromptBatch(Shared):
    """Prompts of one length whose rows decode together; each prompt's keys and values exist once.

    `members`: prompts for which :func:`can_batch` holds. `counts`: rows of each, in this order.
    """

    path = DepthPrefix.path

    def __init__(self, members: Sequence[Shared], counts: Sequence[int]) -> None:
        first = members[0]
        self.members = [member for member in members if isinstance(member, DepthPrefix)]
        if len(self.members) < len(members):
            raise TypeError(
                f"a batch of prompts takes {DepthPrefix.__name__}; got "
                f"{', '.join(sorted({type(m).__name__ for m in members}))}."
            )
        self.owners = np.repeat(np.arange(len(members)), counts)
        self.model, self.encoded, self.token_by_token = first.model, first.encoded, first.token_by_token
        self.positions, self.unedited = first.positions, {}
        self.nbytes = sum(member.nbytes for member in members)

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> CachedRows:
        """Run the last token of every prompt."""
        if rows != len(self.owners) or len(unedited_part.rows) != rows:
            raise ValueError(
                f"this batch has {len(self.owners)} rows; got {rows}, {len(unedited_part.rows)} of them known."
            )
        return start_rows(self.members, self.owners, unedited_part)


def can_batch(first: Shared, other: Shared) -> bool:
    """Whether the rows of two prompts can decode together: same length and positions, full attention alone."""
    if not (isinstance(first, DepthPrefix) and isinstance(other, DepthPrefix)):
        return False
    layers = [*first.cache.layers, *other.cache.layers]
    return (
        first.encoded.prompt_length == other.encoded.prompt_length
        and torch.equal(first.positions, other.positions)
        and set(first.encoded.tensors) == set(other.encoded.tensors)
        and not steps_know_sample(first.model, first.encoded)
        and all(type(layer) is DynamicLayer and layer.is_initialized for layer in layers)
    )
