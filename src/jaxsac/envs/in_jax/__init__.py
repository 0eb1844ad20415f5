"""Environments that are stepped inside compiled programs."""
