"""Decoding many rows from one prompt: what they share, how they decode, and which way is exact for a model."""
