"""Cells by what they are about, for the sandboxes that run in this process."""
