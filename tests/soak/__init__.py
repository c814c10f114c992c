"""The long tests."""
