"""What a run has learned, on disk."""
