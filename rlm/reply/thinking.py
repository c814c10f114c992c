"""The thinking that some models write into their replies, told apart from what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Parted", "parted", "spoken"]

_NAMES = r"(?:think|thinking|thought|thoughts|reasoning|scratchpad)"
_OPEN = re.compile(rf"\s*<{_NAMES}(?:\s[^<>\n]*)?>", re.IGNORECASE)
_OPEN_LINE = re.compile(rf"^[ \t]*<{_NAMES}(?:\s[^<>\n]*)?>", re.IGNORECASE | re.MULTILINE)
_CLOSE = re.compile(rf"</{_NAMES}\s*>", re.IGNORECASE)
_OPEN_ALL = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_CLOSE_ALL = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_CLOSE_LINE = re.compile(r"^[ \t]*</think(?:ing)?>[ \t]*$", re.IGNORECASE | re.MULTILINE)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parted:
    """A reply without its thinking, the thinking, and whether that was opened and closed well."""

    visible: str
    thinking: str = ""
    closed: bool = True


def parted(text: str) -> Parted:
    """Take the thinking out of a reply; markup inside of code is left alone."""
    thoughts: list[str] = []
    at = 0
    while (opening := _OPEN.match(text, at)) is not None:
        closing = _CLOSE.search(text, opening.end())
        if closing is None:
            thoughts.append(text[opening.end() :])
            return Parted("", _joined(thoughts), closed=False)
        thoughts.append(text[opening.end() : closing.start()])
        at = closing.end()
    rest, later = _without_pairs(text[at:])
    thoughts += later
    if "</" in rest and (stray := _stray(rest)) is not None:
        thoughts.append(_OPEN_LINE.sub("", rest[: stray.start()]))
        return Parted(rest[stray.end() :], _joined(thoughts), closed=False)
    late = _OPEN_LINE.search(rest)
    if late is not None and not _in_fence(rest, late.start()) and not _CLOSE.search(rest):
        thoughts.append(rest[late.end() :])
        return Parted(rest[: late.start()], _joined(thoughts), closed=False)
    return Parted(rest, _joined(thoughts))


def spoken(text: str) -> str:
    """Return what a reply in plain words says, without the thinking that it begins with.

    `""` when it holds nothing else. Unlike `parted` it leaves tags in later text alone: an answer
    may speak of them.
    """
    opening = _OPEN_ALL.match(text)
    if opening is not None:
        closing = _CLOSE_ALL.search(text, opening.end())
        return text[closing.end() :].strip() if closing else ""
    closing = _CLOSE_LINE.search(text)  # some servers keep the opening tag to themselves
    if closing is None or "<think" in text[: closing.start()].lower():
        return text
    return text[closing.end() :].strip()


def _without_pairs(text: str) -> tuple[str, list[str]]:
    """Take out the thinking that is opened at the start of a later line, and closed."""
    kept: list[str] = []
    thoughts: list[str] = []
    at = 0
    fenced = False
    closing = _CLOSE.search(text)
    while (opening := _OPEN_LINE.search(text, at)) is not None:
        fenced ^= len(_FENCE_LINE.findall(text, at, opening.start())) % 2 == 1
        if closing is not None and closing.start() < opening.end():
            closing = _CLOSE.search(text, opening.end())
        if closing is None:
            break
        if fenced:  # it is part of some code
            kept.append(text[at : opening.end()])
            at = opening.end()
            continue
        kept.append(text[at : opening.start()])
        thoughts.append(text[opening.end() : closing.start()])
        at = closing.end()
    return "".join([*kept, text[at:]]), thoughts


def _stray(text: str) -> re.Match[str] | None:
    """Return the last closing tag that stands where one is written, not inside of code."""
    last = None
    quotes, triples, blank, at = 0, 0, True, 0  # of the line up to here
    for closing in _CLOSE.finditer(text):
        _, line_end, piece = text[at : closing.start()].rpartition("\n")
        if line_end:
            quotes, triples, blank = 0, 0, True
        quotes += piece.count('"')
        triples += piece.count("'''")
        blank = blank and not piece.strip()
        after = text[closing.end() : closing.end() + 40].lstrip(" \t")
        ends = after.startswith(("\n", "{", "```", "<rlm")) or not after
        if blank or (ends and quotes % 2 == 0 and triples == 0):
            last = closing
        blank, at = False, closing.end()
    if last is not None and text[last.end() :].strip() and _in_fence(text, last.start()):
        line = text[text.rfind("\n", 0, last.start()) + 1 : last.start()]
        if line.strip() or _OPEN_LINE.search(text, 0, last.start()):
            return None  # the code in the fence speaks of thinking
    return last


def _in_fence(text: str, at: int) -> bool:
    return len(_FENCE_LINE.findall(text, 0, at)) % 2 == 1


def _joined(thoughts: list[str]) -> str:
    return "\n\n".join(thought.strip() for thought in thoughts if thought.strip())
