"""Decoding many rows from one prompt: shared computation, decoding, and the choice of an exact way."""
