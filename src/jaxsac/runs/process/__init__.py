"""What a run asks of its process: signals, flags, memory, processes beside it."""
