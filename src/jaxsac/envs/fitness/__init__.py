"""Whether an environment is fit for learning, and what a run is told of it."""
