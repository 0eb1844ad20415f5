"""What goes on inside a run, computed from its checkpoint and metrics after the fact."""
