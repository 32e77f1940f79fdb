"""The declaration of a metric: what it reads of a steered run, how it is scored and shown; built-in ones by name."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from mllm_probe.models.argument_checks import require_function, require_one_of
from mllm_probe.models.fingerprints import code_hash
from mllm_probe.schema import did_you_mean
from mllm_probe.typing import Attributes

Reads = Literal["words", "logits", "answer", "forced", "reference"]


@dataclass(frozen=True)
class MetricNeeds:
    """One thing that a metric may read of a steered run, and what must run for it.

    `decodes`: the answer of every row is generated.
    `unsteered`: the unsteered answer of every image is generated, and fed to every row.
    `reference`: answers are fed to the unsteered model.
    `words`: the words of a concept are fed where they have several sub-tokens.
    """

    decodes: bool = False
    unsteered: bool = False
    reference: bool = False
    words: bool = False


READS: Mapping[str, MetricNeeds] = {
    "words": MetricNeeds(words=True),
    "logits": MetricNeeds(),
    "answer": MetricNeeds(decodes=True),
    "forced": MetricNeeds(unsteered=True),
    "reference": MetricNeeds(decodes=True, reference=True),
}


@dataclass(frozen=True)
class Answer:
    """A generated answer, as metrics read it.

    Attributes
    ----------
    text : str
        Without special tokens and without the answer prefix.
    tokens : tuple of int
        Without the end token.
    labels : frozenset of str or None
        True concepts of the image, None where they are not known.
    words : mapping of str to tuple of str
        Words of every concept that may be among the labels.
    """

    text: str
    tokens: tuple[int, ...]
    labels: frozenset[str] | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoredConcept:
    """The concept that an answer is scored for.

    Attributes
    ----------
    name : str
    words : tuple of str
        Its words; empty where they are given as token ids.
    variants : tuple of tuple of int
        Its words as token ids, in every spelling.
    slot : frozenset of str
        Labels whose place in an image the concept takes, its own name among them.
    """

    name: str
    words: tuple[str, ...] = ()
    variants: tuple[tuple[int, ...], ...] = ()
    slot: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Metric:
    """One score of a steered run, for one concept.

    Parameters
    ----------
    name : str
        Of the grid's variable.
    reads : {"words", "logits", "answer", "forced", "reference"}
        What ``score`` takes:

        ``"words"``: the log-probability [pairs] (float32 Tensor on the CPU) that the answer begins with one of the
        concept's words, words of several sub-tokens teacher-forced.
        ``"logits"``: the logits [rows, vocabulary] at the answer's first position, on the model's device, and the
        :class:`~mllm_probe.metrics.words.WordTable` of all concepts; gives [rows, concepts] or [rows].
        ``"answer"``: an :class:`Answer` and a :class:`ScoredConcept`; gives a number, NaN where there is none.
        ``"forced"``: the unsteered logits [vocabulary] and the steered ones [rows, vocabulary] after the same tokens of
        the unsteered answer; gives [rows]. Called for each of its tokens; the metric is the mean over them, and
        ``<name>_step`` holds the steps.
        ``"reference"``: log-probabilities [rows, steps] of the tokens of the steered answers under the unsteered model,
        and which of them count [rows, steps] (not padding, not the first mention of the concept); gives [rows].
    score : callable
    label : str
        On axes and in menus, such as ``"share of answers that name the concept"``.
    long_name : str, optional
        Attribute of the variable; the label by default.
    unit : str
        ``"1"`` for plain numbers.
    direction : {1, 0, -1}
        Whether more of the concept means a larger (1) or a smaller (-1) score; 0 where neither does.
    needs : {"words", "labels"}, optional
        Without which the score is NaN: words of the concept, or true labels of the images.
    ratio : bool
        The score is a factor, shown in doublings.
    binary : bool
        The score of a run is 0 or 1, so that its mean is a share.
    relative : bool
        The score is divided by that of the unsteered answer.
    every_concept : bool
        Rows are scored for every concept, not their own alone (``scored_concept``); for ``reads="logits"``.
    brings : tuple of str
        Metrics that are computed with it, since it misleads without them.

    Raises
    ------
    ValueError
        If the declaration is incomplete.

    Examples
    --------
    >>> length = mp.Metric("length", "answer", lambda answer, concept: len(answer.text.split()), "words", unit="words")
    >>> grid = mp.sweep(model, vectors, pictures, metrics=("logprob", length))
    """

    name: str
    reads: Reads
    score: Callable[..., Any] = field(repr=False)
    label: str
    long_name: str = ""
    unit: str = "1"
    direction: Literal[1, 0, -1] = 0
    needs: Literal["words", "labels"] | None = None
    ratio: bool = False
    binary: bool = False
    relative: bool = False
    every_concept: bool = False
    brings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"metric: expected a name such as 'answer_length'; got {self.name!r}.")
        require_one_of(f"metric '{self.name}': reads", self.reads, READS)
        require_function(f"metric '{self.name}': score", self.score)
        require_one_of(f"metric '{self.name}': direction", self.direction, (1, 0, -1))
        if self.every_concept and self.reads != "logits":
            raise ValueError(f"metric '{self.name}': every_concept goes with reads='logits'; got {self.reads!r}.")

    @property
    def reading(self) -> MetricNeeds:
        """Runs that this metric needs."""
        return READS[self.reads]

    @property
    def attributes(self) -> Attributes:
        """Attributes of the variable in a grid: all that later summaries and figures need to know."""
        return {
            "long_name": self.long_name or self.label,
            "units": self.unit,
            "label": self.label,
            "reads": self.reads,
            "direction": self.direction,
            "scale": "ratio" if self.ratio else "share" if self.binary else "difference",
        }

    @property
    def identity(self) -> str:
        """The name with a hash of the function's source code, by which stores tell metrics of one name apart."""
        return f"{self.name} ({code_hash(self.score)})"


@cache
def built_in() -> dict[str, Metric]:
    """All built-in metrics, those that cost least first."""
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names]
    metrics = [module.METRIC for module in modules if hasattr(module, "METRIC")]
    order = list(READS)
    return {metric.name: metric for metric in sorted(metrics, key=lambda m: (order.index(m.reads), m.name))}


def as_metrics(given: Iterable[str | Metric] | str | Metric) -> tuple[Metric, ...]:
    """The metrics that a ``metrics`` argument means, with those that they bring, each once.

    Raises ValueError for an unknown name, anything that is neither a name nor a :class:`Metric`, or two metrics of one
    name.
    """
    listed = [given] if isinstance(given, (str, Metric)) else list(given)
    metrics = [_as_metric(item) for item in listed]
    metrics += [built_in()[name] for metric in metrics for name in metric.brings]
    by_name: dict[str, Metric] = {}
    for metric in metrics:
        if by_name.setdefault(metric.name, metric) != metric:
            raise ValueError(f"metrics: two different metrics have the name '{metric.name}'; rename one of them.")
    return tuple(by_name.values())


def _as_metric(name: str | Metric) -> Metric:
    if isinstance(name, Metric):
        return name
    if isinstance(name, str) and name in built_in():
        return built_in()[name]
    raise ValueError(
        f"unknown metric {name!r}{did_you_mean(name, built_in())}; there are {', '.join(built_in())}, or an mp.Metric."
    )


def metrics_of(grid: xr.Dataset) -> list[str]:
    """Names of the metrics that a grid holds, built-in ones first.

    A user's metric is known by the attributes that its variable was written with, also in a grid read from a file.
    """
    known = [name for name in built_in() if name in grid and not built_in()[name].every_concept]
    recorded = [str(name) for name, variable in grid.data_vars.items() if variable.attrs.get("reads") in READS]
    return known + [name for name in recorded if name not in built_in()]


def label_of(grid: xr.Dataset, name: str) -> str:
    """Axis label of a metric: that of its variable, else its name."""
    label = grid[name].attrs.get("label") if name in grid else None
    known = built_in().get(name)
    return str(label or (known.label if known else name))


def scale_of(grid: xr.Dataset, name: str) -> str:
    """``"ratio"`` (effects in doublings), ``"share"`` (0 or 1) or ``"difference"``: as the grid says, else by name."""
    known = built_in().get(name)
    scale = grid[name].attrs.get("scale") or (known.attributes["scale"] if known else "difference")
    return str(scale)


def direction_of(grid: xr.Dataset, name: str) -> int:
    """Whether more of a concept means a larger (1) or smaller (-1) score, or neither (0), as a grid says or by name."""
    known = built_in().get(name)
    return int(grid[name].attrs.get("direction", known.direction if known else 0))


def fixed(value: float, digits: int) -> str:
    """A number with ``digits`` decimal places, halves rounded up as in browsers."""
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"


def signed(value: float, digits: int, units: str = "") -> str:
    """A difference as summaries write it, ``+1.2 blocks``; ``not known`` for NaN."""
    return f"{value:+.{digits}f} {units}".rstrip() if math.isfinite(value) else "not known"


def chance(p: float) -> str:
    """A probability, ".013" or "< .001"; below .1 rounded up to three digits, so that .0501 does not seem to pass."""
    if not math.isfinite(p):
        return "–"
    if p < 0.001:
        return "< .001"
    # Of float32, .05 lies a little above .05.
    text = f"{math.ceil(p * 1000 - 1e-3) / 1000:.3f}" if p < 0.1 else fixed(p, 2)
    return text.removeprefix("0")
