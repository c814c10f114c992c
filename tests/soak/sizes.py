"""How long the long tests are: `RLM_SOAK=0.1` runs a tenth of each, from the same seeds."""

from __future__ import annotations

import os

__all__ = ["times"]


def times(full: int) -> int:
    """Return how often to do what a whole soak does `full` times."""
    return max(1, int(full * float(os.environ.get("RLM_SOAK", "1"))))
