"""Applications on top of everything: training and evaluating the bundled models, and tiny test models."""
