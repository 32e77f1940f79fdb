"""Evaluation of the bundled models: recognition and steerability."""
