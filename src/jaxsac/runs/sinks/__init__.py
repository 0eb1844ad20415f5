"""Where the rows of a run go besides its CSV files."""
