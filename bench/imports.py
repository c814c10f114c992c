"""`import`: what importing `rlm` costs beside importing pydantic."""

from __future__ import annotations

import subprocess
import sys

from bench.measure import Figure, interleaved

__all__ = ["measure"]

_CODE = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def measure(quick: bool) -> list[Figure]:
    """Import in fresh processes, in turns."""
    found = interleaved(
        5 if quick else 15,
        {
            "import rlm": lambda: _seconds("import rlm"),
            "import pydantic": lambda: _seconds("import pydantic"),
            "import rlm; rlm.predict": lambda: _seconds("import rlm; rlm.predict"),
            "from pydantic import BaseModel": lambda: _seconds("from pydantic import BaseModel"),
        },
    )
    return [
        Figure(
            "import",
            "`import rlm`",
            "ms",
            found["import rlm"],
            "`import pydantic`",
            found["import pydantic"],
            target=1.5,
            of_ratio=True,
        ),
        Figure(
            "import",
            "`rlm.predict` touched",
            "ms",
            found["import rlm; rlm.predict"],
            "`from pydantic import BaseModel`",
            found["from pydantic import BaseModel"],
            note="every engine module, asyncio, pydantic and the models of the events",
        ),
    ]


def _seconds(code: str) -> float:
    command = [sys.executable, "-c", _CODE.format(code)]
    return 1000 * float(subprocess.run(command, capture_output=True, check=True).stdout)
