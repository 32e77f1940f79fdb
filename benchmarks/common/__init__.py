"""What the benchmarks share: random models, the work and its outputs, peers, bounds, measuring, tables."""
