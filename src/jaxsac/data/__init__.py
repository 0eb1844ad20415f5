"""Storage of transitions."""
