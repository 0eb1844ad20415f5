"""A population that steps and learns, in memory."""
