"""Cutting and searching text in a cell, in time linear in its length."""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Optional, Pattern, Tuple, Union

__all__ = ["Found", "FoundList", "chunk_text", "grep_text"]

_SHOWN = 300
"""Characters of a line that a match shows."""
_LEAD = 80
"""How many of these may stand before the match."""
_PARAGRAPHS = ("\n\n", "\r\n\r\n")
_LINES = ("\n",)
_SENTENCE_END = re.compile(r"[.!?…][\"')\]”’]*\s+|[。！？]\s*")  # noqa: RUF001 - they end sentences
_WORDS = (" ", "\t", "\u3000", "\xa0")


def chunk_text(text: str, max_length: int = 2000, overlap: int = 0) -> List[str]:
    """Split a text into chunks of at most `max_length` characters, at the best place near the end.

    That is the end of a paragraph, else of a line, of a sentence, of a word, else anywhere. Without
    overlap the chunks joined are the text; with it, each begins with the last `overlap` characters
    of the one before. Of a File, chunk slices or `.text`.
    """
    if not isinstance(text, str):
        raise TypeError(f"chunk_text() takes a str, not {type(text).__name__}")
    if max_length < 1:
        raise ValueError(f"max_length = {max_length!r}: it must be at least 1")
    if not 0 <= overlap < max_length:
        raise ValueError(f"overlap = {overlap!r}: it must be from 0 to below max_length")
    chunks, start = [], 0
    while len(text) - start > max_length:
        end = _best_end(text, start + overlap + 1, start + max_length)
        chunks.append(text[start:end])
        start = end - overlap
    if text:
        chunks.append(text[start:])
    return chunks


def _best_end(text: str, low: int, high: int) -> int:
    """Return where to cut, from `low` to `high`, in the second half if there is a place."""
    middle = low + (high - low) // 2
    for begin, end in ((middle, high), (low, middle)):
        cut = (
            _after_last(text, _PARAGRAPHS, begin, end)
            or _after_last(text, _LINES, begin, end)
            or _after_sentence(text, begin, end)
            or _after_last(text, _WORDS, begin, end)
        )
        if cut:
            return cut
    return high


def _after_last(text: str, separators: Tuple[str, ...], low: int, high: int) -> int:
    """Return the last place from `low` to `high` that follows a separator, or 0."""
    best = 0
    for separator in separators:
        found = text.rfind(separator, max(0, low - len(separator)), high)
        if found >= 0:
            best = max(best, found + len(separator))
    return best if best >= low else 0


def _after_sentence(text: str, low: int, high: int) -> int:
    cut = 0
    for found in _SENTENCE_END.finditer(text, low, high):
        cut = found.end()
    return cut


class Found(str):
    """A line in which a pattern matched: `"12: the line"`, with its neighbours when asked for.

    `line` counts from 1, `start` is where the match begins in the text, in characters, and `text`
    is the line, of a long one the part around the match.
    """

    line: int
    start: int
    text: str

    __slots__ = ("line", "start", "text")


class FoundList(List[Found]):
    """The lines that were found; `more` says whether there are further ones."""

    more = False

    def __repr__(self) -> str:
        more = "\n... and more: raise max_matches or narrow the pattern" if self.more else ""
        return "\n".join(self) + more if self else "no matches"


def grep_text(
    pattern: Union[str, Pattern[str]],
    text: Any,
    *,
    context: int = 0,
    ignore_case: bool = False,
    max_matches: Optional[int] = 100,
    fixed: bool = False,
) -> FoundList:
    """Return the lines of a text or a File in which a regular expression matches.

    `context` lines are shown before and after each, `fixed` takes the pattern literally. Of a long
    line the part around the match is shown, and what was shown is not searched again.
    """
    compiled = _compiled(pattern, text, ignore_case, fixed)
    found = FoundList()
    shown_until = 0
    for start, line in _places(compiled, text):
        if start < shown_until:
            continue
        if max_matches is not None and len(found) >= max_matches:
            found.more = True
            break
        one, shown_until = _shown(text, start, line, max(0, context))
        found.append(one)
    return found


def _compiled(
    pattern: Union[str, Pattern[str]], text: Any, ignore_case: bool, fixed: bool
) -> Pattern[str]:
    if not isinstance(text, str) and not hasattr(text, "finditer"):
        kind = type(text).__name__
        raise TypeError(f"grep_text(pattern, text) searches a str or a File, not {kind}")
    if isinstance(pattern, re.Pattern):
        flags = pattern.flags | re.MULTILINE
        pattern = pattern.pattern
    elif isinstance(pattern, str):
        flags = re.MULTILINE
    else:
        raise TypeError(f"the pattern comes first, and is a str, not {type(pattern).__name__}")
    try:
        source = re.escape(pattern) if fixed else pattern
        return re.compile(source, flags | (re.IGNORECASE if ignore_case else 0))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{pattern[:200]!r} is not a regular expression: {error}; fixed=True takes it literally"
        ) from None


def _places(pattern: Pattern[str], text: Any) -> Iterator[Tuple[int, int]]:
    """Yield where each match begins, and on which line."""
    if not isinstance(text, str):
        yield from ((match.start, match.line) for match in text.finditer(pattern))
        return
    line, counted = 1, 0
    for match in pattern.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        yield counted, line


def _shown(text: Any, start: int, line: int, context: int) -> Tuple[Found, int]:
    """Return the line around a match, and the place up to which it is shown."""
    reach = _SHOWN * (context + 1)
    low = max(0, start - reach)
    before = text[low:start].split("\n")
    if low > 0 and text[low - 1 : low] != "\n":
        before[0] = "…" + before[0]
    ahead = text[start : start + reach + 1]
    after = ahead.split("\n")
    if len(ahead) > reach and len(after) > 1:
        after[-1] += "…"
    shown, kept = _around(before.pop(), after[0])
    until = start + kept + (kept == len(after[0]))  # with the end of the line, or of the text
    lines = [f"{line - n}- {_clipped(t)}" for n, t in _numbered(before[::-1], context)][::-1]
    lines.append(f"{line}: {shown}")
    lines += [f"{line + n}- {_clipped(t)}" for n, t in _numbered(after[1:], context)]
    found = Found("\n".join(lines))
    found.line, found.start, found.text = line, start, shown
    return found, until


def _around(head: str, tail: str) -> Tuple[str, int]:
    """Return a line cut around what is between `head` and `tail`, and how much of `tail` it has."""
    room = max(_LEAD, _SHOWN - len(tail))
    if len(head) > room:
        head = "…" + head[len(head) - room :]
    kept = tail[: max(1, _SHOWN - len(head))]
    if len(kept) < len(tail):
        return head + kept + "…", len(kept)
    return (head + kept).rstrip("\r"), len(kept)


def _numbered(lines: List[str], count: int) -> List[Tuple[int, str]]:
    return list(enumerate(lines[:count], 1))


def _clipped(line: str) -> str:
    line = line.rstrip("\r")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
