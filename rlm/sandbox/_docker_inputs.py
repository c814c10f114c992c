"""The inputs of a run for a container: files of a folder that it mounts, or bytes on the wire."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlm.sandbox._inputs import Staged
from rlm.sandbox._scratch import private_folder

__all__ = ["MOUNTED_AT", "Folder", "Weighed"]

MOUNTED_AT = "/rlm"
_PIECE = 1024 * 1024
_OBJECTS = 16
"""Bytes of objects that a byte of JSON may become, while it is decoded."""


class Weighed(Staged):
    """Staged inputs; `decoded` estimates from above the bytes that they take in the guest."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._texts = 0
        super().__init__(inputs)
        self.decoded = self._texts + self.size + _OBJECTS * self.table[1]

    def put_text(self, text: str) -> list[int]:
        """Keep text as UTF-8 and return where it is."""
        self._texts += sys.getsizeof(text)
        return super().put_text(text)


class Folder:
    """A private folder with a file for each descriptor, to be mounted read-only.

    `mounts` is where what has to be mounted; `paths` is where the container finds each file. A
    file of this machine that anyone may read is mounted in place, any other is copied once.
    """

    def __init__(self, fds: Sequence[int]) -> None:
        self._private = Path(private_folder())
        shared = self._private / "inputs"
        self.mounts = {str(shared): MOUNTED_AT}
        self.paths = [f"{MOUNTED_AT}/{number}" for number in range(len(fds))]
        try:
            shared.mkdir()
            for number, fd in enumerate(fds):
                self._add(shared / str(number), fd)
            shared.chmod(0o755)  # whoever runs in the container; others do not get this far
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder; what the container has opened it keeps."""
        shutil.rmtree(self._private, ignore_errors=True)

    def _add(self, target: Path, fd: int) -> None:
        source = _in_place(fd)
        with target.open("xb") as file:
            if source is not None:
                self.mounts[source] = f"{MOUNTED_AT}/{target.name}"
            else:
                with os.fdopen(os.dup(fd), "rb") as content:
                    content.seek(0)
                    shutil.copyfileobj(content, file, _PIECE)
        target.chmod(0o444)


def _in_place(fd: int) -> str | None:
    """Return the path of an open file that everybody may read, where there is one."""
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
        here, there = os.fstat(fd), os.stat(path)
    except OSError:
        return None
    plain = stat.S_ISREG(here.st_mode) and bool(here.st_mode & stat.S_IROTH)
    return path if plain and os.path.samestat(here, there) else None
