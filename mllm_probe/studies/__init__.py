"""What is concluded from the grid of a sweep: effects, best cells, fluent doses; one module per finding."""
