"""Copies of an environment: here in turn, or in processes side by side."""
