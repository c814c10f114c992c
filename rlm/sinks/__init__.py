"""Callables that take a run's events and deltas while it goes on."""
