"""Imported by the process from which all others are forked: the package, Dask and the model are there at once."""

import logging

import distributed  # noqa: F401

from tests.faults import children, subject

logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what dies on purpose is not worth a page
subject.given()
__all__ = ["children"]
