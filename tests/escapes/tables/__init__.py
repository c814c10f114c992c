"""The cases, one table a topic."""
