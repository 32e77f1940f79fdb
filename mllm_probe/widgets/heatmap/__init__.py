"""The map of concepts × layers: its cells and the numbers that a saved page holds of it."""
