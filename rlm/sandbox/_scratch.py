"""Private folders in the temporary folder, named so that those of dead processes can be removed."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["private_folder", "sweep_once"]


def private_folder() -> str:
    """Make a folder of this process, which whoever comes later may remove when it has died."""
    return tempfile.mkdtemp(prefix=f"rlm-{_processes()}-{os.getpid()}-")


@functools.cache
def sweep_once() -> None:
    """Remove the folders that killed processes have left, once in the life of this process."""
    folder = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):  # it is a courtesy: where it cannot be done, it is not
        for found in folder.glob(f"rlm-{_processes()}-*-*"):
            pid = found.name.split("-")[2]
            if pid.isdigit() and not _lives(int(pid)) and found.lstat().st_uid == os.getuid():
                shutil.rmtree(found, ignore_errors=True)


def _processes() -> int:
    """Number the set of processes that this one sees: in another, the same pid is another's."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
