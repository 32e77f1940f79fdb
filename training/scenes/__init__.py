"""Training of the bundled models: pictures on disk, the vision tower, then the whole model."""
