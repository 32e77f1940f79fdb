"""Exit statuses of the command line, and the error that a failed check ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mllm_probe.loading import VerificationReport

DONE, CHECK_FAILED, WRONG_INPUT, INCOMPLETE = 0, 1, 2, 3
"""Done; a check failed; wrong input; incomplete, the same command goes on."""


class CheckFailed(Exception):
    """A model failed a check, so that the command was not run; ``report`` holds all checks."""

    def __init__(self, message: str, report: VerificationReport) -> None:
        self.report = report
        super().__init__(message)
