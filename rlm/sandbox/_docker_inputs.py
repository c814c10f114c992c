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

__all__ = ["MOUNTED_AT", "SECRETS_AT", "Folder", "Weighed"]

MOUNTED_AT = "/rlm"
SECRETS_AT = "/run/secrets"
_PIECE = 1024 * 1024
_OBJECTS = 16
"""Bytes of objects that a byte of JSON may become, while it is decoded."""


class Weighed(Staged):
    """Staged inputs; `decoded` estimates from above the bytes that they take in the guest.

    `sent` is that with their files, which are in memory too where nothing is mounted.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._texts = 0
        super().__init__(inputs)
        self.decoded = self._texts + self.size + _OBJECTS * self.table[1]
        self.sent = self.decoded + sum(os.fstat(fd).st_size for fd in self.fds)

    @property
    def files_size(self) -> int:
        """The bytes of the files among them."""
        return sum(os.fstat(fd).st_size for fd in self.fds[1:])

    def put_text(self, text: str) -> list[int]:
        """Keep text as UTF-8 and return where it is."""
        self._texts += sys.getsizeof(text)
        return super().put_text(text)


class Folder:
    """A private folder of this machine that a container sees read-only, and no one else.

    `mounts` is where what has to be mounted; `paths` is where the container finds each input.
    """

    def __init__(self) -> None:
        self._private = Path(private_folder())
        self._shared = self._private / "inputs"
        self.mounts = {str(self._shared): MOUNTED_AT}
        self.paths: list[str] = []
        try:
            self._shared.mkdir()
            self._shared.chmod(0o755)  # whoever runs in the container; others do not get this far
        except BaseException:
            self.remove()
            raise

    def add(self, fds: Sequence[int], mounting: bool) -> None:
        """Put in a file for each descriptor.

        With `mounting` a file that anyone may read is mounted in place, any other is copied once.
        """
        for fd in fds:
            target = self._shared / str(len(self.paths))
            source = _in_place(fd) if mounting else None
            with target.open("xb") as file:
                if source is not None:
                    self.mounts[source] = f"{MOUNTED_AT}/{target.name}"
                else:
                    with os.fdopen(os.dup(fd), "rb") as content:
                        content.seek(0)
                        shutil.copyfileobj(content, file, _PIECE)
            target.chmod(0o444)
            self.paths.append(f"{MOUNTED_AT}/{target.name}")

    def add_secret(self, name: str, content: bytes) -> None:
        """Put in a secret, which the container sees as a file of its own."""
        target = self._private / f"secret-{name}"
        with target.open("xb") as file:
            file.write(content)
        target.chmod(0o444)  # nobody comes to it from outside, and inside is somebody else
        self.mounts[str(target)] = f"{SECRETS_AT}/{name}"

    def remove(self) -> None:
        """Remove the folder; what the container has opened or mounted it keeps."""
        shutil.rmtree(self._private, ignore_errors=True)


def _in_place(fd: int) -> str | None:
    """Return the path of an open file that everybody may read, where there is one."""
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
        here, there = os.fstat(fd), os.stat(path)
    except OSError:
        return None
    plain = stat.S_ISREG(here.st_mode) and bool(here.st_mode & stat.S_IROTH)
    return path if plain and os.path.samestat(here, there) else None
