"""The command line: the functions of the package for long jobs.

A command is a function of this room: its signature and docstring are its options and its help. What brings PyTorch,
NumPy or xarray along is imported where a command needs it, after names, files and stores were looked up, so that help
and errors are there at once.
"""

from mllm_probe.cli.command_line import app, main
from mllm_probe.cli.commands_common import CHECK_FAILED, DONE, INCOMPLETE, WRONG_INPUT

__all__ = ["CHECK_FAILED", "DONE", "INCOMPLETE", "WRONG_INPUT", "app", "main"]
