"""A sweep, or studies, as one offline page."""

from mllm_probe.reports.study_report import StudySection, studies_report
from mllm_probe.reports.sweep_report import report

__all__ = ["StudySection", "report", "studies_report"]
