"""Images that cells show: recognised by what they are or offer, and measured by their headers.

Nothing is imported for it: an image of Pillow makes a PNG of itself, a figure of matplotlib is
asked to save one, and bytes say by their first ones what they are.
"""

from __future__ import annotations

import io
import struct
import sys
from typing import Any, List, Optional, Tuple

from .errors import CellTimeout, Submitted
from .previews import class_has, kind_name, preview

__all__ = ["MOST_BYTES", "MOST_IMAGES", "MOST_IN_ALL", "Gallery", "measure"]

MOST_BYTES = 2 * 1024 * 1024
"""Bytes of one image that is kept."""
MOST_IMAGES = 8
MOST_IN_ALL = 4 * 1024 * 1024
"""Images of one cell, and their bytes, that are kept."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SIDE = 65_535
_FRAMES_OF_JPEG = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def measure(content: bytes) -> Optional[Tuple[str, int, int]]:
    """Return format, width and height of a PNG or JPEG by its header; None when it is neither."""
    found = None
    if content.startswith(_PNG) and content[12:16] == b"IHDR" and len(content) >= 33:
        found = ("PNG", *struct.unpack_from("!II", content, 16))
    elif content.startswith(_JPEG):
        found = _jpeg(content)
    return found if found and 0 < found[1] <= _SIDE and 0 < found[2] <= _SIDE else None


class Gallery:
    """The images of one cell, and `display`, by which it shows any value."""

    def __init__(self, value_chars: int) -> None:
        self._value_chars = value_chars
        self.images: List[bytes] = []

    def begin(self) -> None:
        """A cell begins: it has shown none."""
        self.images = []

    def show(self, value: Any) -> str:
        """Return what a value is described as, and keep it where it is an image."""
        content = _attempt(value)
        measured = None if content is None else measure(content)
        if content is not None and measured is not None:
            return self._keep(content, *measured)
        return preview(value, self._value_chars)

    def display(self, *values: Any) -> None:
        """Show values as the last line of a cell would: tables by shape, images in the trace."""
        for value in values:
            sys.stdout.write(self.show(value) + "\n")

    def _keep(self, content: bytes, form: str, width: int, height: int) -> str:
        size = f"{len(content) / 1000:,.0f} kB" if len(content) > 1000 else f"{len(content)} bytes"
        told = f"Image {width}x{height} {form}, {size}"
        if content in self.images:
            return f"{told} (kept in the trace)"
        room = MOST_IN_ALL - sum(map(len, self.images))
        if len(content) > min(MOST_BYTES, room) or len(self.images) >= MOST_IMAGES:
            return f"{told} (too much to keep in the trace)"
        self.images.append(content)
        return f"{told} (kept in the trace)"


_NEVER = (str, int, float, bool, list, dict, tuple, set, frozenset)


def _attempt(value: Any) -> Optional[bytes]:
    try:
        return _content(value)
    except (CellTimeout, Submitted):
        raise
    except BaseException:  # it cannot be drawn: its repr has to do
        return None


def _content(value: Any) -> Optional[bytes]:
    """Return the bytes of an image, of a figure, or of what shows itself as one."""
    if type(value) is bytes:
        return value
    if type(value) in _NEVER:
        return None
    if class_has(value, "_repr_png_"):
        made = value._repr_png_()
        made = made[0] if type(made) is tuple and made else made
        return made if type(made) is bytes else None
    if kind_name(value) != "Figure" and class_has(value, "get_figure"):
        value = value.get_figure()
    if class_has(value, "savefig"):
        file = io.BytesIO()
        value.savefig(file, format="png")
        return file.getvalue()
    return None


def _jpeg(content: bytes) -> Optional[Tuple[str, int, int]]:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        kind, size = content[at + 1], struct.unpack_from("!H", content, at + 2)[0]
        if kind in _FRAMES_OF_JPEG:
            height, width = struct.unpack_from("!HH", content, at + 5)
            return ("JPEG", width, height)
        at += 2 + size
    return None
