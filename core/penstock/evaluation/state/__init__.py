"""Mergeable state: what is kept of rows while they pass."""
