"""The inputs of a run, written once into a file without a name that every session can share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rlm.files import located
from rlm.guest.mapped import ALIGNMENT, FORMS, LEAST, sealed
from rlm.guest.values import Blobs, NotPortable, divided, encode
from rlm.guest.wire import to_json

__all__ = ["FileNames", "MemoryFile", "Staged", "VariableBlobs"]

_PIECE = 256 * 1024
"""Characters at a time; memory for larger pieces is fetched from the system anew each time."""

_MOST_APART = 32
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


class MemoryFile:
    """A file without a name that takes content piece by piece; `fd` is the caller's to close.

    Large content lies as interpreters hold it, so that guests can use the file's own pages.
    """

    def __init__(self) -> None:
        self.fd = _nameless()
        self.size = 0
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def seal(self) -> int:
        """Let nobody change it any more, and return its descriptor."""
        self._flush()
        self.fd = sealed(self.fd)
        return self.fd

    def put(self, content: bytes) -> list[int]:
        """Keep content and return where it is: offset and length."""
        if len(content) < LEAST:
            return self._write(content)
        self._align()
        at = self._write(content)
        self._go_to(self.size + _END)
        return at

    def put_text(self, text: str) -> list[int]:
        """Keep text and return where it is; a third number says in which form, if not UTF-8."""
        if len(text) < LEAST:
            return self._write(text.encode("utf-8", "surrogatepass"))
        self._align()
        start = self.size
        largest = next(form for form in FORMS if self._fits(text, form, start))
        at = [start, self.size - start, largest]
        self._go_to(self.size + _END)
        return at

    def put_pieces(self, pieces: list[bytes]) -> list[int]:
        """Keep pieces one after the other, which are let go of, and return where they are."""
        start = self.size
        for place, piece in enumerate(pieces):
            self._write(piece)
            pieces[place] = b""
        return [start, self.size - start]

    def _fits(self, text: str, largest: int, start: int) -> bool:
        """Write a text in this form, piece by piece, as long as no character is larger."""
        if largest == 0x7F and not text.isascii():
            return False
        codec, width = FORMS[largest]
        self._go_to(start)
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
        self.size += len(content)
        self._waiting.append(content)
        self._waiting_size += len(content)
        if self._waiting_size >= _PIECE:
            self._flush()
        return at

    def _flush(self) -> None:
        """Write what waits to be written together."""
        waiting = self._waiting
        view = memoryview(waiting[0] if len(waiting) == 1 else b"".join(waiting))
        self._waiting, self._waiting_size = [], 0
        while view:
            view = view[os.write(self.fd, view) :]

    def _align(self) -> None:
        self._go_to(self.size + -self.size % ALIGNMENT)

    def _go_to(self, place: int) -> None:
        """Go on at this place of the file; what is left out is zeros."""
        self._flush()
        self.size = os.lseek(self.fd, place, os.SEEK_SET)


class VariableBlobs(Blobs):
    """The blobs of a session's variables; what travels as descriptors is in `fds`, to be closed.

    `files` has each file once, by the reference that the guest makes of its number; `kind` is what
    that begins with. With `apart` large content travels in memory files of its own.
    """

    def __init__(self, kind: str = "session", apart: bool = True) -> None:
        super().__init__()
        self.fds: list[int] = []
        self.files: dict[str, Any] = {}
        self._kind = kind
        self._apart = _MOST_APART if apart else 0
        self._numbers: dict[int, int] = {}

    def put(self, content: bytes) -> list[int]:
        if len(content) < LEAST or not self._apart:
            return super().put(content)
        return self._put_apart(lambda file: [*file.put(content), 0])

    def put_text(self, text: str) -> list[int]:
        if len(text) < LEAST or not self._apart:
            return super().put_text(text)
        return self._put_apart(lambda file: file.put_text(text))

    def put_file(self, file: Any) -> int:
        number = self._numbers.get(id(file))
        if number is None:
            number = self._add(file.open_fd())
            self.files[f"{self._kind}:#{number}"] = file
            self._numbers[id(file)] = number
        return number

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def _put_apart(self, put: Callable[[MemoryFile], list[int]]) -> list[int]:
        """Keep content in a file of its own; a fourth number is the place of its descriptor."""
        self._apart -= 1
        file = MemoryFile()
        try:
            return [*put(file), len(self.fds)]
        finally:
            self._add(file.seal())

    def _add(self, fd: int) -> int:
        """Let a descriptor travel, and return its number there."""
        self.fds.append(fd)
        return len(self.fds) - 1


class Staged(VariableBlobs):
    """Inputs in a sealed memory file, `fds[0]`; the descriptors after it are those of files.

    `table` is where in it the JSON is that has each input by name. Large texts lie there as the
    guest's interpreter will hold them, so that the file is the only copy that is made of them.
    """

    least = 512

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        super().__init__("place")
        self._file = MemoryFile()
        self.fds.append(self._file.fd)
        try:
            self.table = self._put_table(inputs)
            self.size = self._file.size
            self.fds[0] = self._file.seal()
        except BaseException:
            self.close()
            raise

    def put(self, content: bytes) -> list[int]:
        return self._file.put(content)

    def put_text(self, text: str) -> list[int]:
        return self._file.put_text(text)

    def _add(self, fd: int) -> int:
        return super()._add(fd) - 1  # the guest counts without the first

    def _put_table(self, inputs: Mapping[str, Any]) -> list[int]:
        pieces = [b"{"]
        for name, value in inputs.items():
            pieces += [b"," if len(pieces) > 1 else b"", to_json(name), b":"]
            try:
                pieces += self._json(value)
            except NotPortable as error:
                raise NotPortable(f"input {name!r}: {error}") from None
        pieces.append(b"}")
        return self._file.put_pieces(pieces)

    def _json(self, value: Any) -> Iterator[bytes]:
        """Yield a value's JSON in pieces, so that what is encoded is never all there at once."""
        parts, ends = divided(value)
        before = ends[:1]
        for part in parts:
            yield before + to_json(encode(part, self))[1:-1]
            before = b","
        yield ends[1:] if ends else to_json(encode(value, self))


def _nameless() -> int:
    make = getattr(os, "memfd_create", None)
    if make is not None:
        return int(make("inputs", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
