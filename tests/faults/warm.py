"""Imported by the process from which all others are forked: the package, Dask and the model are there at once."""

import distributed  # noqa: F401

from tests.faults import children, subject

children.quiet()
subject.given()
