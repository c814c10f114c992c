"""Models: the port (`base`) and the adapters that speak to providers."""
