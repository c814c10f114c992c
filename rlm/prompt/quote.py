"""Data inside a prompt: delimited so that it cannot pose as the prompt, cut, made harmless."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["CUT_NOTE_CHARS", "clean", "cut", "fair_shares", "one_line", "quoted"]

CUT_NOTE_CHARS = 60
"""The most that the note inside a cut text adds to it, in characters."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    r"""Return the text with what a reader would not see written out, as in `\x1b`.

    These are control characters other than newline and tab (terminal escapes start with one),
    marks that reorder or hide text, and lone surrogates, which no request can carry.
    """
    return _UNSEEN.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str, limit: int = 200) -> str:
    """Return the cleaned text on one line, cut at `limit` characters; its cost is O(limit)."""
    flat = " ".join(clean(text[: limit + 1]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def quoted(mark: str, text: str, note: str = "") -> str:
    """Return the text between `<mark>` and `</mark>`, numbered until the text has no such end.

    The text stays as it is. Whatever it contains, the first `</mark…>` with the number of the
    opening one is the end that was written here.
    """
    if f"</{mark}" in text:
        mark = _unused(mark, text)
    return f"<{mark}{note}>\n{text}\n</{mark}>"


def _unused(mark: str, text: str) -> str:
    taken = set(re.findall(rf"</{mark}(?:-(\d+))?", text))
    number = 1
    while str(number) in taken:
        number += 1
    return f"{mark}-{number}"


def cut(text: str, limit: int, length: int = 0) -> str:
    """Return the text, or its head (three fifths) and tail around a note of what is missing.

    The result has at most `limit` characters of the text and CUT_NOTE_CHARS more. `length` is the
    true length of a text that was shortened before.
    """
    if len(text) <= limit:
        return text
    missing = max(length, len(text)) - limit
    tail = limit * 2 // 5
    end = text[len(text) - tail :]
    return f"{text[: limit - tail]}\n[… {missing:,} characters cut here …]\n{end}"


def fair_shares(sizes: Sequence[int], total: int) -> list[int]:
    """Divide `total` so that no size gets more than it needs and the largest are cut alike."""
    shares = [0] * len(sizes)
    left = total
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    for position, index in enumerate(order):
        shares[index] = min(sizes[index], left // (len(order) - position))
        left -= shares[index]
    return shares
