"""Report of a verification: the outcome of every check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mllm_probe.typing import JsonObject


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
        checks = [{"name": one.name, "outcome": one.outcome.value, "detail": one.detail} for one in self.checks]
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
