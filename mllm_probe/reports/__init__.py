"""A sweep, or studies, as one offline page."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.reports.study_report import StudySection, studies_report
    from mllm_probe.reports.sweep_report import report
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["StudySection", "report", "studies_report"]
