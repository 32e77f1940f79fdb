"""Sprite sheets of the emoji world, its training pictures and the vision tower that is trained on them."""
