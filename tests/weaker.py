"""A machine that truly offers less: a program runs where no namespace can be had."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from engines import need_namespaces, need_program

__all__ = ["without_namespaces"]

_LESS = ("unshare", "-Urmpf", "--mount-proc")
_WEAK = (
    "echo 0 > /proc/sys/user/max_user_namespaces &&"
    ' exec setpriv --inh-caps=-all --bounding-set=-all --no-new-privs "$@"'
)


def without_namespaces(command: Sequence[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of Python that imports `rlm`, in namespaces in which there are no others."""
    need_program("unshare")
    need_program("setpriv")
    done = subprocess.run(
        [*_LESS, "sh", "-c", _WEAK, "sh", *command],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONUTF8": "1",
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    need_namespaces(done)
    return done
