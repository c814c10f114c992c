"""Host functions that cells may call: the port (`base`) and where they come from."""
