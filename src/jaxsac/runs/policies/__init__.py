"""Saved policies: loaded, evaluated and shown."""
