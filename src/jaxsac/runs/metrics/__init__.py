"""What a run tells in numbers, row by row."""
