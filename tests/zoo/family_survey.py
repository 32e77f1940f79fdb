"""Verification of tiny models of the whole image-text-to-text mapping, family by family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from mllm_probe.loading.pretrained import wrap
from mllm_probe.loading.verification import Outcome, VerificationReport
from tests.zoo.common import FAMILIES, build
from tests.zoo.shrink import pictures, sample, shrunk

SHRUNK = "default configuration made small"
_BUILDER_OF = {"blip-2": "blip2", "kosmos-2": "kosmos2"}


@dataclass(frozen=True)
class Row:
    """One family of the table.

    `kind`: fusion of image and text, or the note that its default configuration was reduced. `report`: of the sample
    that came furthest. `error`: the exception that was raised where there is no verified report, by its type and first
    line.
    """

    family: str
    kind: str
    report: VerificationReport | None
    error: str = ""

    @property
    def verified(self) -> bool:
        """True when every check that applies passed."""
        return self.report is not None and self.report.passed

    @property
    def remarks(self) -> str:
        """Reasons why checks do not apply, or the error."""
        if self.verified and self.report is not None:
            open_checks = [check for check in self.report.checks if check.outcome is Outcome.DOES_NOT_APPLY]
            return "; ".join(f"no check of {check.name}: {check.detail}" for check in open_checks)
        return self.error

    def __str__(self) -> str:
        state = "verified" if self.verified else "skipped"
        return f"{self.family:<26} {state:<9} {self.kind:<58} {self.remarks}".rstrip()


def family_names() -> list[str]:
    """Families with a builder, then the others of Transformers' mapping."""
    covered = {_BUILDER_OF.get(name, name) for name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES} & set(FAMILIES)
    others = [n for n in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES if _BUILDER_OF.get(n, n) not in covered]
    return [*sorted(FAMILIES), *sorted(others)]


def survey(names: Iterable[str] | None = None) -> Iterator[Row]:
    """Build and verify one tiny model after another.

    `names`: of ``family_names()``; all by default. Raises ValueError for a family that is not in the mapping.
    """
    known = family_names()
    for name in known if names is None else names:
        if name not in known:
            raise ValueError(f"There is no family '{name}'; there are {', '.join(known)}.")
        yield _built(name) if name in FAMILIES else _shrunk(name)


def _built(name: str) -> Row:
    one = FAMILIES[name]
    try:
        hf, inputs = build(one)
        report = wrap(hf, name=name).verify(inputs=inputs)
    except Exception as error:  # the table shows whatever a family raises
        return Row(name, one.kind, None, _reason(error))
    return Row(name, one.kind, report, _first_failure(report))


def _shrunk(name: str) -> Row:
    tried: list[Row] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            hf = shrunk(name)
            model = wrap(hf, name=name)
        except Exception as error:  # the table shows whatever a family raises
            return Row(name, SHRUNK, None, _reason(error))
        for picture in pictures(hf):
            try:
                report = model.verify(inputs=sample(hf, picture))
                tried.append(Row(name, SHRUNK, report, _first_failure(report)))
            except Exception as error:  # as above; the next way of giving an image may be the right one
                tried.append(Row(name, SHRUNK, None, _reason(error)))
            if tried[-1].verified:
                return tried[-1]
    return max(tried, key=_progress)


def _progress(row: Row) -> int:
    return -1 if row.report is None else sum(check.outcome is Outcome.PASSED for check in row.report.checks)


def _first_failure(report: VerificationReport) -> str:
    return "" if report.passed else f"VerificationError: {report.failures[0].name}: {report.failures[0].detail}"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:200]}"
