"""The inputs of a run, written once into a file without a name that every session can share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from rlm.files import located
from rlm.guest.mapped import ALIGNMENT, FORMS, LEAST, sealed
from rlm.guest.values import Blobs, NotPortable, encode
from rlm.guest.wire import to_json

__all__ = ["FileNames", "Staged", "VariableBlobs"]

_PIECE = 256 * 1024
"""Characters at a time; memory for larger pieces is fetched from the system anew each time."""

_END = 4
"""Zeros after a large text or bytes, for the interpreter that uses the file's own pages."""


class FileNames:
    """What the files among variables are called in cells: `docs`, or `docs[1]` in a list."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._names: dict[int, str] | None = None

    def of(self, file: Any) -> str:
        """Return the name of a file, or its own where it is in no variable."""
        for name, value in self._variables.items():
            if value is file:
                return name
        if self._names is None:  # large variables are looked through once, and only for this
            self._names = {}
            for name, value in self._variables.items():
                for place, found in located(name, value):
                    self._names.setdefault(id(found), place)
        return self._names.get(id(file)) or str(file.name)


class VariableBlobs(Blobs):
    """The blobs of a session's variables; files travel as descriptors in `fds`, to be closed.

    `files` has each file once, by the reference that the guest makes of its number; `kind` is what
    that begins with.
    """

    def __init__(self, kind: str = "session") -> None:
        super().__init__()
        self.fds: list[int] = []
        self.files: dict[str, Any] = {}
        self._kind = kind
        self._numbers: dict[int, int] = {}

    def put_file(self, file: Any) -> int:
        number = self._numbers.get(id(file))
        if number is None:
            number = len(self.files)
            self.fds.append(file.open_fd())
            self.files[f"{self._kind}:#{number}"] = file
            self._numbers[id(file)] = number
        return number

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


class Staged(VariableBlobs):
    """Inputs in a sealed memory file, `fds[0]`; the descriptors after it are those of files.

    `table` is where in it the JSON is that has each input by name. Large texts lie there as the
    guest's interpreter will hold them, so that the file is the only copy that is made of them.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        super().__init__("place")
        self.fds.append(_nameless())
        try:
            values = {name: self._encode(name, value) for name, value in inputs.items()}
            self.table = self.put(to_json(values))
        except BaseException:
            self.close()
            raise
        self.fds[0] = sealed(self.fds[0])

    def put(self, content: bytes) -> list[int]:
        if len(content) < LEAST:
            return self._write(content)
        self._align()
        at = self._write(content)
        self._skip(_END)
        return at

    def put_text(self, text: str) -> list[int]:
        if len(text) < LEAST:
            return self._write(text.encode("utf-8", "surrogatepass"))
        self._align()
        start = self.size
        largest = next(form for form in FORMS if self._fits(text, form, start))
        at = [start, self.size - start, largest]
        self._skip(_END)
        return at

    def _fits(self, text: str, largest: int, start: int) -> bool:
        """Write a text in this form, piece by piece, as long as no character is larger."""
        if largest == 0x7F and not text.isascii():
            return False
        codec, width = FORMS[largest]
        self._to(start)
        for place in range(0, len(text), _PIECE):
            piece = text[place : place + _PIECE]
            try:
                encoded = piece.encode(codec, "surrogatepass")
            except UnicodeEncodeError:
                return False
            if len(encoded) != width * len(piece):  # a pair stands for a character in UTF-16
                return False
            self._write(encoded)
        return True

    def _write(self, content: bytes) -> list[int]:
        at = [self.size, len(content)]
        view = memoryview(content)
        while view:
            view = view[os.write(self.fds[0], view) :]
        self.size += len(content)
        return at

    def _align(self) -> None:
        self._skip(-self.size % ALIGNMENT)

    def _skip(self, size: int) -> None:
        """Leave so many zeros."""
        self._to(self.size + size)

    def _to(self, place: int) -> None:
        """Go on at this place of the file."""
        self.size = os.lseek(self.fds[0], place, os.SEEK_SET)

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
