"""What all widgets share: state and worker thread, numbers as text, marks of answers, choices, and Python recipes."""
