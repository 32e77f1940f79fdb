"""Measurements of verdicts: coverage, nulls, power, shuffled weights, answers."""
