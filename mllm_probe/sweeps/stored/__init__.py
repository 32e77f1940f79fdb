"""What a store adds to a sweep: units that any process can run, their progress, and what it takes to join."""
