"""Tables of what verdicts are worth: `make validate`, or `python -m validation [part …]`."""
