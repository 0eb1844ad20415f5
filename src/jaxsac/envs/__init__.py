"""Environments: spaces, stepping and resetting."""
