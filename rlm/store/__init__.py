"""Where a run's log is kept: the port (`base`) and the kinds of store."""
