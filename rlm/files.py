"""Files among the inputs: mounted where the code runs, never pasted and never held in memory."""

from __future__ import annotations

import codecs
import hashlib
import io
import mimetypes
import os
import stat
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rlm.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["File", "Readable", "located", "parts"]

_PIECE = 1024 * 1024
"""Characters or bytes of a foreign file object that are in memory at a time."""
_MEMFD = sys.platform == "linux"
_UTF8 = {"utf-8", "ascii"}


class Readable(Protocol):
    """An open file object, of text or of bytes."""

    def read(self, size: int, /) -> str | bytes:
        """Return the next characters or bytes; nothing at the end."""
        ...


class File:
    """A file as an input: from a path, from text, from bytes, or from an open file object.

    Exactly one source is given. A path must name a readable regular file (`~` is understood). Of a
    file object the whole content is taken, wherever it stands: a plain file on disk is used in
    place, anything else is copied to a temporary file piece by piece. `name` and `content_type`
    are guessed when they are not given. What is not UTF-8 reads as U+FFFD, and never fails.
    Raises ConfigurationError that names the file and what is wrong with it.
    """

    __slots__ = ("__weakref__", "_fd", "_memory", "content_type", "name", "path")

    name: str
    """The file's name, without folders."""
    content_type: str
    """The MIME type, by the name; text when the name tells nothing."""
    path: Path | None
    """Where it is on this machine; `None` when it is not from a path."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        text: str | None = None,
        data: bytes | bytearray | memoryview | None = None,
        file: Readable | None = None,
        name: str | None = None,
        content_type: str | None = None,
    ) -> None:
        _one_source(path=path, text=text, data=data, file=file)
        self.path = None if path is None else _regular(path)
        self._fd: int | None = None
        self._memory: bytes | None = None
        guess = "text.txt"
        if self.path is not None:
            guess = self.path.name
        elif text is not None:
            self._memory = _encoded(text)
        elif data is not None:
            self._memory, guess = _bytes(data), "data.bin"
        elif file is not None:
            self._own(_taken(file))
            guess = _name_of(file)
        self.name = os.path.basename(name) if name else guess
        self.content_type = (
            content_type or mimetypes.guess_type(self.name, strict=False)[0] or "text/plain"
        )

    @property
    def size(self) -> int:
        """The length in bytes."""
        if self.path is not None:
            return self.path.stat().st_size
        if self._fd is not None:
            return os.fstat(self._fd).st_size
        return len(self._memory or b"")

    def open_fd(self) -> int:
        """Return a new read-only descriptor at the beginning, which the caller has to close."""
        if self.path is not None:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if self._fd is None:
            self._own(_stored(self._memory or b""))
            self._memory = None
        assert self._fd is not None
        return _reopened(self._fd)

    def open(self) -> io.BufferedReader:
        """Open it for reading bytes."""
        return os.fdopen(self.open_fd(), "rb")

    @property
    def text(self) -> str:
        """The whole content as text, in this process's memory."""
        with self.open() as stream:
            return stream.read().decode("utf-8", "replace")

    @property
    def bytes(self) -> bytes:
        """The whole content, in this process's memory."""
        with self.open() as stream:
            return stream.read()

    def lines(self) -> Iterator[str]:
        """Iterate over the lines, without their ends."""
        with io.TextIOWrapper(
            self.open(), encoding="utf-8", errors="replace", newline="\n"
        ) as all_:
            for line in all_:
                yield line.rstrip("\r\n")

    def head(self, length: int = 400) -> str:
        """Return the first `length` characters; a bounded part of the file is read."""
        with self.open() as stream:
            start = stream.read(4 * max(0, length))
        return codecs.getincrementaldecoder("utf-8")("replace").decode(start)[:length]

    def tail(self, length: int = 400) -> str:
        """Return the last `length` characters; a bounded part of the file is read."""
        if length <= 0:
            return ""
        with self.open() as stream:
            end = stream.seek(0, os.SEEK_END)
            start = max(0, end - 4 * length - 3)
            stream.seek(start)
            last = stream.read()
        if start:  # the window may begin inside a character: drop what is left of it
            cut = next((i for i, byte in enumerate(last[:3]) if byte & 0xC0 != 0x80), 3)
            last = last[cut:]
        return last.decode("utf-8", "replace")[-length:]

    def sha256(self) -> str:
        """Return the hash of the content in hexadecimal; the file is streamed."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.size:,} bytes)"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled or copied; pass its path or its text")

    def _own(self, fd: int) -> None:
        self._fd = fd
        weakref.finalize(self, os.close, fd)


_ATOMS = frozenset((str, bytes, int, float, bool, type(None)))
_DEEPEST = 200


def located(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, File]]:
    """Yield the files in a value, also those in containers and records, with the place of each.

    A place is written as a cell would: `docs[1]`, `case['main']`, `case.main`.
    """
    if isinstance(value, File):
        yield name, value
    elif depth < _DEEPEST:
        for form, key, item in parts(value):
            if type(item) not in _ATOMS:
                yield from located(name + form.format(key), item, depth + 1)


def parts(value: object) -> Iterable[tuple[str, Any, Any]]:
    """Yield what a container or a record holds: the form of its place, the key, and the value."""
    if isinstance(value, Mapping):
        return (("[{!r}]", key, item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return (("[{}]", number, item) for number, item in enumerate(value))
    kind: Any = type(value)
    fields: Any = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", ())
    return ((".{}", field, getattr(value, field)) for field in fields)


def _one_source(**sources: object) -> None:
    given = [name for name, value in sources.items() if value is not None]
    if not given:
        raise ConfigurationError("File() needs one of: a path, text=, data= or file=")
    if len(given) > 1:
        raise ConfigurationError(f"File() takes one source, not {' and '.join(given)}")


def _regular(path: str | os.PathLike[str]) -> Path:
    try:
        full = Path(path).expanduser().absolute()
        mode = full.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigurationError(f"{os.fspath(path)!r} is a folder; File() takes one file")
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{os.fspath(path)!r} is not a regular file")
        os.close(os.open(full, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no file {os.fspath(path)!r}") from None
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{path!r} cannot be read: {reason}") from None
    return full


def _encoded(text: str) -> bytes:
    if not isinstance(text, str):
        raise ConfigurationError(f"File(text=…) takes a str, not {type(text).__name__}")
    return text.encode("utf-8", "replace")


def _bytes(data: bytes | bytearray | memoryview) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ConfigurationError(f"File(data=…) takes bytes, not {type(data).__name__}")
    return bytes(data)


def _name_of(file: Readable) -> str:
    name = getattr(file, "name", None)
    return os.path.basename(name) if isinstance(name, str) and name else "file"


def _taken(file: Readable) -> int:
    """Return an own descriptor of what a file object reads, in place where that is possible."""
    if not callable(getattr(file, "read", None)):
        raise ConfigurationError(f"File(file=…) takes an open file, not {type(file).__name__}")
    try:
        in_place = _plain_descriptor(file)
        return _spooled(file) if in_place is None else os.dup(in_place)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{_name_of(file)!r} cannot be read: {error}") from error


def _plain_descriptor(file: Readable) -> int | None:
    # Not fileno(): that of a GzipFile is the compressed file's.
    raw: Any = file
    if isinstance(raw, io.TextIOWrapper):
        if codecs.lookup(raw.encoding).name not in _UTF8:
            return None
        if raw.writable():
            raw.flush()
        raw = raw.buffer
    if isinstance(raw, io.BufferedReader | io.BufferedWriter | io.BufferedRandom):
        if raw.writable():
            raw.flush()
        raw = raw.raw
    if not isinstance(raw, io.FileIO) or not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return None
    return raw.fileno()


def _spooled(file: Readable) -> int:
    source: Any = file
    seekable = getattr(source, "seekable", None)
    before = source.tell() if seekable is not None and seekable() else None
    if before is not None:
        source.seek(0)
    with tempfile.TemporaryFile() as spool:
        while piece := file.read(_PIECE):
            spool.write(_encoded(piece) if isinstance(piece, str) else piece)
        spool.flush()
        if before is not None:
            source.seek(before)
        return os.dup(spool.fileno())


def _stored(content: bytes) -> int:
    """Put bytes where a descriptor reads them: in sealed memory, or in an unlinked file."""
    if _MEMFD:
        import fcntl

        fd = os.memfd_create("rlm-file", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        with os.fdopen(os.dup(fd), "wb") as stream:
            stream.write(content)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return fd
    with tempfile.TemporaryFile() as spool:
        spool.write(content)
        spool.flush()
        return os.dup(spool.fileno())


def _reopened(fd: int) -> int:
    """Open the file behind a descriptor once more, with an offset of its own."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # no /proc: macOS, and some jails
        with tempfile.NamedTemporaryFile() as copy:
            while piece := os.pread(fd, _PIECE, copy.tell()):
                copy.write(piece)
            copy.flush()
            return os.open(copy.name, os.O_RDONLY | os.O_CLOEXEC)
