"""Imported by the process from which all others are forked: the package, Dask and the model are there at once."""

import codecs

import distributed  # noqa: F401

from tests.faults import children, subject

codecs.lookup("unicode-escape")  # templates need it, and who gives up rights may not read the interpreter's folder
children.quiet()
subject.given()
