"""Decoding many rows from one prompt: what they share, how they go on, and which way is exact for a model."""
