"""A report of a sweep as one offline page."""

from mllm_probe.apps.report.sweep_report import report

__all__ = ["report"]
