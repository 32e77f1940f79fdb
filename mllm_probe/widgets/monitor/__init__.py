"""The sweep monitor: where progress comes from, and how fast it goes."""
