"""Draws, trains and evaluates the bundled models; imports the package, never the other way, and is not in the wheel."""
