"""Widgets that look inside one run: tokens, patches and pairs of images."""
