"""Vectors of a dataset are parsed once, and again when its variables were exchanged."""

import numpy as np
import xarray as xr

from mllm_probe.vectors.directions import directions_of
from tests.steering.reference import made_vectors


def test_a_variable_that_was_given_the_memory_of_another_is_read_anew(tiny):
    cat = made_vectors(tiny).sel(concept="cat").copy()
    other = cat["vector"].variable + 1
    dims, values, order = other.dims, other.data, list(cat.variables)
    assert directions_of(cat) is directions_of(cat)
    first, held = id(cat._variables.pop("vector")), []
    for _ in range(1000):
        held.append(xr.Variable(dims, values))
        if id(held[-1]) == first:
            break
    cat._variables = {name: held[-1] if name == "vector" else cat._variables[name] for name in order}
    np.testing.assert_array_equal(directions_of(cat).vector("image", 2).numpy(), values[1, 2])
