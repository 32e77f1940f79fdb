"""Shared parts of all widgets: state, worker thread, numbers as text, marks of answers, choices, Python recipes."""
