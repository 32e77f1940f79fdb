"""How well the bundled models see, and how well they can be steered."""
