"""Places where generated code runs: the port (`base`) and one module for each kind."""
