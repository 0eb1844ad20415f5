"""Training runs: the loop, the seed axis, evaluation, metrics and checkpoints."""
