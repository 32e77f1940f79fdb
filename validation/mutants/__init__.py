"""Mutants of the package, tried by two versions of its tests."""
