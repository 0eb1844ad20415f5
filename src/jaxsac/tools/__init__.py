"""What a person uses around a run: the command line and the report."""
