"""Fetching the decoders that bundled models are put on: download, check, convert, rename."""
