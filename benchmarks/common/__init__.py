"""Shared parts of the benchmarks: random models, the work and its outputs, peers, bounds, measuring, tables."""
