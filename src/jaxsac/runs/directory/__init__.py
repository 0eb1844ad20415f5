"""The directory of a run: whose it is, and what it says that it holds."""
