"""Which settings a run has, by name, and what they may be."""
