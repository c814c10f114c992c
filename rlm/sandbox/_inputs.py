"""The inputs of a run, written once into a file without a name that every session can share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from rlm.guest.values import Blobs, NotPortable, encode
from rlm.guest.wire import to_json

__all__ = ["Staged", "VariableBlobs"]

_PIECE = 4 * 1024 * 1024


class VariableBlobs(Blobs):
    """The blobs of a session's variables; files travel as descriptors in `fds`, to be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fds: list[int] = []

    def put_file(self, file: Any) -> int:
        self.fds.append(file.open_fd())
        return len(self.fds) - 1

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


class Staged(VariableBlobs):
    """Inputs in a sealed memory file, `fds[0]`; the descriptors after it are those of files.

    `table` is where in it the JSON is that has each input by name. A string is encoded piece by
    piece: beside it there is one copy, the file.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        self.fds.append(_nameless())
        try:
            values = {name: self._encode(name, value) for name, value in inputs.items()}
            self.table = self.put(to_json(values))
        except BaseException:
            self.close()
            raise
        with contextlib.suppress(AttributeError, OSError):  # only a memory file can be sealed
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(self.fds[0], fcntl.F_ADD_SEALS, seals)

    def put(self, content: bytes) -> list[int]:
        view = memoryview(content)
        while view:
            view = view[os.write(self.fds[0], view) :]
        at = [self.size, len(content)]
        self.size += len(content)
        return at

    def put_text(self, text: str) -> list[int]:
        start = self.size
        for place in range(0, len(text), _PIECE):
            self.put(text[place : place + _PIECE].encode("utf-8", "surrogatepass"))
        return [start, self.size - start]

    def put_file(self, file: Any) -> int:
        return super().put_file(file) - 1

    def _encode(self, name: str, value: Any) -> Any:
        try:
            return encode(value, self)
        except NotPortable as error:
            raise NotPortable(f"input {name!r}: {error}") from None


def _nameless() -> int:
    make = getattr(os, "memfd_create", None)
    if make is not None:
        return int(make("inputs", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
