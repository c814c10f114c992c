"""Private folders in the temporary folder, named so that those of dead processes can be removed."""

from __future__ import annotations

import functools
import os
import tempfile

from rlm.guest.remains import sweep

__all__ = ["private_folder", "sweep_once"]


def private_folder() -> str:
    """Make a folder of this process, which whoever comes later may remove when it has died."""
    return tempfile.mkdtemp(prefix=f"rlm-{_processes()}-{os.getpid()}-")


@functools.cache
def sweep_once() -> None:
    """Remove the folders that killed processes have left, once in the life of this process."""
    sweep(tempfile.gettempdir(), f"rlm-{_processes()}-")


def _processes() -> int:
    """Number the set of processes that this one sees: in another, the same pid is another's."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
