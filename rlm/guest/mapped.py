"""Large texts and bytes whose content is a part of a file: never copied, not even by a fork.

CPython keeps the characters of a string right behind a header of a few words. Here the header lies
at the end of a page of its own and the pages behind it are those of the file, so that any number
of processes share them and a fork has no page tables of theirs to copy.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from typing import Any, Dict, Optional, Tuple

__all__ = ["ALIGNMENT", "FORMS", "LEAST", "Shared", "copied", "possible", "sealed", "taken"]

FORMS: Dict[int, Tuple[str, int]] = {
    0x7F: ("ascii", 1),
    0xFF: ("latin-1", 1),
    0xFFFF: ("utf-16-le", 2),
    0x10FFFF: ("utf-32-le", 4),
}
"""Texts as interpreters hold them: the largest character of a form, its codec, bytes of each."""

LEAST = 1 << 20
"""Bytes from which on it is worth two mappings, of which a process may have some 65,000."""

ALIGNMENT = 1 << 16
"""Content begins at multiples of this in the file, whatever a page is, and zeros come after it."""

_ODD = 7919
"""The length of a template: no other word of a header has this value."""

_NOTHING, _READ, _WRITE = 0, mmap.PROT_READ if hasattr(mmap, "PROT_READ") else 1, 2
_SHARED, _PRIVATE, _FIXED, _NAMELESS, _NO_RESERVE = 1, 2, 0x10, 0x20, 0x4000


def possible() -> bool:
    """Say whether this interpreter keeps strings as those that are known here do."""
    return (
        sys.platform == "linux"
        and sys.implementation.name == "cpython"
        and (3, 9) <= sys.version_info < (3, 15)
        and (sys.maxsize, sys.byteorder, object.__basicsize__) == ((1 << 63) - 1, "little", 16)
    )


def copied(content: memoryview, largest: int) -> str:
    """Return the text that is there in one of FORMS, as a copy."""
    codec, width = FORMS[largest]
    text = str(content, codec, "surrogatepass")
    if len(text) * width != len(content):  # lone surrogates side by side are one character there
        text = "".join(map(chr, content.cast("H")))
    return text


def taken(fd: int, offset: int, size: int, largest: Optional[int] = None) -> Any:
    """Return the `str` of this form, or the `bytes`, that a part of a file holds."""
    made = Shared(fd)(offset, size, largest)
    if made is not None:
        return made
    whole = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    with whole, memoryview(whole) as view, view[offset : offset + size] as content:
        return bytes(content) if largest is None else copied(content, largest)


def sealed(fd: int) -> int:
    """Let nobody change this memory file any more; return it as one that is open for reading.

    Before Linux 6.7 one that is sealed and open for writing cannot be mapped to share its pages.
    """
    import fcntl

    try:
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except (AttributeError, OSError):  # only a memory file can be sealed, and only Linux has them
        return fd
    os.close(fd)
    return reading


class Shared:
    """Makes a `str` or `bytes` of a part of a file, which must never change from then on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._possible = possible()

    def __call__(self, offset: int, size: int, largest: Optional[int] = None) -> Any:
        """Return the object, or None where a copy has to do.

        `largest` is the form of a text, the first of FORMS that has room for its characters;
        without it the part is bytes.
        """
        if not self._possible or size < LEAST or offset % ALIGNMENT:
            return None
        import ctypes  # the host, which decodes too, has no use for it

        template: Any = bytes(_ODD) if largest is None else chr(largest) * _ODD
        width = 1 if largest is None else FORMS[largest][1]
        head = sys.getsizeof(template) - (_ODD + 1) * width
        content = _lay_out(self._fd, offset, size + width)
        if content is None:
            return None
        words = {_ODD: size // width, id(template) + head: content}
        like = struct.unpack(f"{head // 8}Q", ctypes.string_at(id(template), head))
        own = struct.pack(f"{head // 8}Q", *(words.get(word, word) for word in like))
        ctypes.memmove(content - head, own, head)
        # The template's own references are counted in it too, so it is never taken down.
        return ctypes.cast(content - head, ctypes.py_object).value


def _lay_out(fd: int, offset: int, size: int) -> Optional[int]:
    """Map a part of a file behind a page of our own; return where it begins, if that can be."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    libc.munmap.argtypes = libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    page, failed = mmap.PAGESIZE, ctypes.c_void_p(-1).value
    start = libc.mmap(None, page + size, _NOTHING, _PRIVATE | _NAMELESS | _NO_RESERVE, -1, 0)
    if start == failed:
        return None
    content: int = start + page
    if (
        libc.mprotect(start, page, _READ | _WRITE)
        or libc.mmap(content, size, _READ, _SHARED | _FIXED, fd, offset) != content
    ):
        libc.munmap(start, page + size)
        return None
    return content
