"""A file of the host in a cell: read in windows, indexed by characters as far as was needed."""

from __future__ import annotations

import os
import re
import sys
from collections import OrderedDict
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Pattern, Sequence, Union

from .mapped import taken

__all__ = ["LONGEST_MATCH", "File", "Match", "Opener", "reference"]

_WINDOW = 4 * 1024 * 1024
LONGEST_MATCH = 64 * 1024
"""Characters of a match that is sure to be found across windows."""
_CONTEXT = 1024
_EMPTY = sys.getsizeof("")
_LINE = "a line"


class Match(NamedTuple):
    """A place in a file: offsets in characters, the line's number from 1, and the text."""

    start: int
    end: int
    line: int
    text: str


class Matches(List[Match]):
    """The matches of a search; `more` says whether the limit cut it off."""

    more = False

    def __repr__(self) -> str:
        more = f"\n... more than {len(self):,}: use finditer() or a limit" if self.more else ""
        return "\n".join(map(repr, self)) + more if self else "no matches"


class File:
    """A file among the inputs: UTF-8 text or bytes of any size, read only where it is looked at.

    `file[a:b]`, `.read(a, b)`, `.find(text)` and `.search(pattern)` count in characters; invalid
    UTF-8 is read as U+FFFD. `len(file)` is in characters, `.size` in bytes. `.text` and `.bytes`
    are the whole content, where that fits into memory.
    """

    def __init__(
        self,
        name: str,
        content_type: str,
        size: int,
        fd: int,
        room: int | None,
        ref: str = "",
        reads: List[str] | None = None,
    ) -> None:
        """Read from `fd`; `ref` is what the host knows it by, and goes to `reads` when it is read
        for the first time.
        """
        self.name = name
        self.content_type = content_type
        self.size = size
        self._fd = fd
        self._room = room
        self._ref = ref
        self._reads = reads
        self._starts = [0]  # the character that each window begins with, as far as known
        self._recent: OrderedDict[int, str] = OrderedDict()

    @property
    def text(self) -> str:
        """The whole file as text; MemoryError when it does not fit."""
        try:
            return str(self._whole("text"), "utf-8", "replace")
        except MemoryError:
            raise self._too_large(".text") from None

    @property
    def bytes(self) -> bytes:
        """The whole file as bytes; MemoryError when it does not fit."""
        content: Any = self._whole("bytes")
        return content  # type: ignore[no-any-return] # `bytes` names this property here

    def read(self, start: int = 0, stop: int | None = None) -> str:
        """Return the characters from `start` to `stop`."""
        return self[start:stop]

    def read_bytes(self, start: int = 0, stop: int | None = None) -> Any:
        """Return the bytes from `start` to `stop`."""
        start, stop, _ = slice(start, stop).indices(self.size)
        return self._pread(start, max(stop - start, 0))

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """Yield the lines without their ends, from line `start` (from 0) to before `stop`.

        MemoryError when one of them does not fit into memory.
        """
        number, begun = 0, _Pieces(self._room)
        for window in self._windows():
            lines = window.split("\n")
            rest = lines.pop()
            if lines and number >= start:
                lines[0] = self._joined(begun, lines[0], _LINE)
            for line in lines:
                if stop is not None and number >= stop:
                    return
                if number >= start:
                    yield line[:-1] if line.endswith("\r") else line
                number += 1
            begun = _Pieces(self._room) if lines else begun
            if number >= start:
                self._add(begun, rest, _LINE)
        last = self._joined(begun, "", _LINE)
        if last and (stop is None or number < stop):
            yield last

    def find(self, text: str, start: int = 0) -> int:
        """Return where `text` is first found, from `start` on, in characters; -1 when it is not."""
        for match in self.finditer(re.escape(text), start=start, _overlap=len(text) + 1):
            return match.start
        return -1

    def search(
        self, pattern: Union[str, Pattern[str]], *, ignore_case: bool = False, limit: int = 1000
    ) -> Matches:
        """Return the first `limit` matches of a regular expression: start, end, line, text.

        A match that is longer than 65,536 characters may be cut or missed.
        """
        found = Matches()
        for match in self.finditer(pattern, ignore_case=ignore_case):
            if len(found) >= limit:
                found.more = True
                break
            found.append(match)
        return found

    def finditer(
        self,
        pattern: Union[str, Pattern[str]],
        *,
        ignore_case: bool = False,
        start: int = 0,
        _overlap: int | None = None,
    ) -> Iterator[Match]:
        """Yield the matches of a regular expression one by one, however many there are."""
        flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
        compiled = re.compile(pattern, flags) if isinstance(pattern, str) else pattern
        overlap = LONGEST_MATCH if _overlap is None else _overlap
        first = self._locate(start)
        base = self._starts[first]
        line = 1 + sum(self._window(number).count("\n") for number in range(first))
        rest = (self._window(number) for number in range(first, self._count))
        for found in _scan(rest, self._count - first, compiled, start - base, overlap):
            yield Match(base + found.start, base + found.end, line + found.line, found.text)

    def __getitem__(self, index: Any) -> str:
        if not isinstance(index, slice):
            place = index + len(self) if index < 0 else index
            found = self[place : place + 1] if place >= 0 else ""
            if not found:
                raise IndexError(f"character {index} is outside of {self.name!r}")
            return found
        if index.step not in (None, 1):
            return self[index.start : index.stop][:: index.step]
        start, stop = index.start or 0, index.stop
        if start < 0 or (stop is not None and stop < 0):
            start, stop, _ = index.indices(len(self))
        return self._characters(start, stop)

    def _characters(self, start: int, stop: int | None) -> str:
        if stop is None and self._room is not None and self.size > self._room and start == 0:
            raise self._too_large("a slice without an end")
        pieces, what = _Pieces(self._room), "so long a slice"
        for number in range(self._locate(start), self._count):
            begin = self._starts[number]
            if stop is not None and begin >= stop:
                break
            window = self._window(number)
            end = None if stop is None else stop - begin
            self._add(pieces, window[max(start - begin, 0) : end], what)
        return self._joined(pieces, "", what)

    def _add(self, pieces: _Pieces, piece: str, what: str) -> None:
        if not pieces.add(piece):
            raise self._too_large(what)

    def _joined(self, pieces: _Pieces, last: str, what: str) -> str:
        self._add(pieces, last, what)
        try:
            return pieces.joined()
        except MemoryError:
            raise self._too_large(what) from None

    def __len__(self) -> int:
        while len(self._starts) <= self._count:
            self._window(len(self._starts) - 1)
        return self._starts[self._count]

    def __bool__(self) -> bool:
        return self.size > 0

    def __iter__(self) -> Iterator[str]:
        return self.lines()

    def __contains__(self, text: str) -> bool:
        return self.find(text) >= 0

    def __repr__(self) -> str:
        return f"<File {self.name!r}, {self.size:,} bytes, {self.content_type}>"

    @property
    def _count(self) -> int:
        return max(-(-self.size // _WINDOW), 1)

    def _windows(self) -> Iterator[str]:
        return (self._window(number) for number in range(self._count))

    def _locate(self, character: int) -> int:
        """Return the window that holds this character, reading as far as needed."""
        from bisect import bisect_right

        while self._starts[-1] <= character and len(self._starts) <= self._count:
            self._window(len(self._starts) - 1)
        return min(bisect_right(self._starts, character) - 1, max(self._count - 1, 0))

    def _window(self, number: int) -> str:
        """Return the text of one window; windows end where characters do."""
        found = self._recent.get(number)
        if found is None:
            begin, end = self._edge(number), self._edge(number + 1)
            found = self._pread(begin, end - begin).decode("utf-8", "replace")
            self._recent[number] = found
            if len(self._recent) > 2:
                self._recent.popitem(last=False)
        if number == len(self._starts) - 1:
            self._starts.append(self._starts[number] + len(found))
        return found

    def _edge(self, number: int) -> int:
        """Return the byte where window `number` begins: never inside of a character."""
        place = number * _WINDOW
        if place <= 0 or place >= self.size:
            return min(max(place, 0), self.size)
        around = self._pread(place - 3, 4)
        for back in (1, 2, 3):
            byte = around[3 - back]
            if byte >= 0xC0:  # a character begins here: it needs so many bytes
                needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                return place - back if needs > back else place
            if byte < 0x80:
                break
        return place

    def _pread(self, start: int, size: int) -> Any:
        if self._reads is not None:
            self._reads.append(self._ref)
            self._reads = None
        pieces = []
        while size > 0:
            piece = os.pread(self._fd, size, start)
            if not piece:
                break
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _whole(self, what: str) -> Any:
        if self._room is not None and self.size > self._room // 2:
            raise self._too_large(f".{what}")
        try:
            return self._pread(0, self.size)
        except MemoryError:
            raise self._too_large(f".{what}") from None

    def _too_large(self, what: str) -> MemoryError:
        lines = "" if what == _LINE else ", .lines()"
        return MemoryError(
            f"{what} of {self.name!r} ({self.size:,} bytes) does not fit into memory here:"
            f" use .search(pattern), .find(text){lines} or slices such as file[0:10000]"
        )


class _Pieces:
    """The pieces of one text, as long as they take at most half of the room that there is."""

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._pieces: List[str] = []
        self._size = 0

    def add(self, piece: str) -> bool:
        """Keep a piece, or say that there is no room for it."""
        self._pieces.append(piece)
        self._size += sys.getsizeof(piece) - _EMPTY
        return self._room is None or self._size <= self._room // 2

    def joined(self) -> str:
        """Return the text."""
        return "".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]


def _scan(
    windows: Iterator[str], count: int, pattern: Pattern[str], position: int, overlap: int
) -> Iterator[Match]:
    """Yield the matches in a text that comes in `count` windows; its lines count from 0.

    What begins in the last `overlap` characters is looked for again with the next window.
    """
    buffer, base, line, counted = "", 0, 0, 0
    for number, window in enumerate(windows, 1):
        buffer += window
        safe = len(buffer) + 1 if number == count else len(buffer) - overlap
        while position < safe:
            match = pattern.search(buffer, position)
            if match is None or match.start() >= safe:
                position = max(position, min(safe, len(buffer)))
                break
            line += buffer.count("\n", counted, match.start())
            counted = match.start()
            yield Match(base + match.start(), base + match.end(), line, match.group())
            position = match.end() + (match.end() == match.start())
        cut = max(min(position, len(buffer)) - _CONTEXT, 0)
        line += buffer.count("\n", counted, cut) if cut > counted else 0
        counted = max(counted - cut, 0)
        buffer, base, position = buffer[cut:], base + cut, position - cut


def reference(file: File) -> str:
    """Return what the host knows a file by; no method, since a cell could call or change that."""
    return file._ref


class Opener:
    """Makes a File of its entry in a message, once; `fds` came with the message.

    `kind` is the side that the host sent them to: a place or a session. `reads` has the references
    of those that were read since it was last cleared.
    """

    def __init__(self, fds: Sequence[int], memory_mb: int | None, kind: str) -> None:
        self._fds = fds
        self._room = None if memory_mb is None else memory_mb << 20
        self._kind = kind
        self.reads: List[str] = []
        self.files: Dict[str, File] = {}

    def __call__(self, entry: Mapping[str, Any]) -> File:
        """Return the file of an entry."""
        ref, fd = f"{self._kind}:#{entry['fd']}", self._fds[entry["fd"]]
        if ref not in self.files:
            self.files[ref] = File(
                entry["name"], entry["type"], entry["size"], fd, self._room, ref, self.reads
            )
        return self.files[ref]

    def content(self, offset: int, size: int, form: int, number: int) -> Any:
        """Return a text of this form, or bytes for 0, that fill a descriptor of their own."""
        return taken(self._fds[number], offset, size, form or None)
