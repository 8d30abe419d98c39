"""Databases: connecting to them, and the query of a window."""
