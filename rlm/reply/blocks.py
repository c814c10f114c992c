"""The blocks of a reply: fences, tags and JSON objects, in the order of the text."""

# ruff: noqa: RUF001 - typographic quotes are what this module reads
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rlm.reply.actions import Exec, Final
from rlm.reply.code import code_end, compiles, is_clearly_code, mended, without_entities
from rlm.reply.effort import left
from rlm.reply.languages import kind_of
from rlm.reply.loose_json import read_object
from rlm.reply.objects import Finding, final_value, from_object, weak_final

__all__ = ["Block", "blocks"]

_OBJECT = (
    r"\{\s*(?:(?://|\#)[^\n]{0,500}\n\s*)?"
    r"(?:[\"'“”‘’][\w $-]{1,60}[\"'“”‘’]|[A-Za-z_]\w{0,60})\s*[:=]"
)
_MARK = re.compile(
    r"^(?P<lead>[ \t]*+(?:>[ \t]?|[-*+][ \t]++|\d{1,3}[.)][ \t]++)?)(?P<ticks>`{3,}+|~{3,}+)"
    r"[ \t]*+(?P<info>[^\n`]*+)$"
    r"|^[ \t]*+(?P<marks>`{3,20}+)(?P<tag>[\w-]*+)[ \t]++(?P<line>[^\n]+?)(?P=marks)[ \t]*+$"
    r"|(?<=[^\s`])[ \t]*+(?P<late>`{3,}+)(?P<lang>repl|python|py|final|json)[ \t]*+$"
    r"|(?<!`)`[^`\n]+`(?!`)"
    r"|(?P<open><|&lt;)\s*+rlm[-_: ]?(?P<name>code|final)\b(?P<more>[^<>&]{0,200})(?:>|&gt;)"
    rf"|(?P<object>{_OBJECT})",
    re.MULTILINE | re.IGNORECASE,
)
_TAG_END = re.compile(
    r"(?:<|&lt;)(?P<slash>/?)\s*rlm[-_: ]?(?:code|final)\b[^<>\n&]{0,200}(?:>|&gt;)", re.IGNORECASE
)
_LOOSE_TAG_END = re.compile(r"(?:<|&lt;)/\s*(?:rlm|code|final)\b[^<>\n&]{0,200}(?:>|&gt;|$)", re.I)
_ENDING = re.compile(r"\s*(?:submit|SUBMIT|FINAL|FINAL_VAR)\s*\(.*\)\s*\Z", re.DOTALL)
_CODE_BEGINS = re.compile(r"(?:import|from|print|for|with|if)\b|[\w.]+\(|\w+ ?=[^=]")
_ATTRIBUTES = re.compile(r"(?>\w+=(?:(?:\"[^\"]*\"|'[^']*')(?=\s|$)|\S+)\s*)+$")
_OTHER_FENCE = re.compile(r"^[ \t]*(?:`{2,}|~{3,})[ \t]*$", re.MULTILINE)
_TRAILING_TICKS = re.compile(r"(?<=[^\n`])`{3,}[ \t]*$", re.MULTILINE)
_MAX_BAD = 20  # a reply with more broken objects, or fences and tags, is not worth the time
_MAX_NESTED = 40
_MAX_BLOCKS = 2000
_CDATA = "<![CDATA["


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the reply and what it asks for; a weak one counts only when there is no other."""

    start: int
    end: int
    finding: Finding
    weak: bool = False


def blocks(text: str, outputs: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks of the text; each character is looked at a bounded number of times."""
    at, count = 0, 0
    bad, bad_objects = 0, 0
    while count < _MAX_BLOCKS and (mark := _MARK.search(text, at)) is not None:
        block: Block | None = None
        if mark["marks"]:
            kind, _ = kind_of(mark["tag"])
            block = _block(mark.start(), mark.end(), kind, mark["line"], outputs)
        elif mark["object"]:
            if bad_objects < _MAX_BAD:
                block = _object(text, mark.start(), outputs)
                bad_objects += block is None
        elif (mark["ticks"] or mark["late"] or mark["open"]) and bad < _MAX_BAD:
            block = (_tag if mark["open"] else _fence)(text, mark, outputs)
            bad += block is None
        if block is None:
            at = mark.end()
            continue
        yield block
        count += 1
        at = max(block.end, mark.start() + 1)


# -- fences ------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _closer(mark: str, least: int) -> re.Pattern[str]:
    return re.compile(rf"^[ \t>]*+{mark}{{{least},}}+[ \t]*+(?P<info>[^\n`]*+)$", re.MULTILINE)


def _fence(text: str, mark: re.Match[str], outputs: Sequence[str]) -> Block | None:
    ticks = mark["ticks"] or mark["late"]
    kind, rest = kind_of(mark["info"] if mark["ticks"] else mark["lang"])
    start = min(mark.end() + 1, len(text))
    closers = _closer(ticks[0], len(ticks))
    found = closers.finditer(text, start)
    if kind in ("code", ""):
        closer = code_end(text, start, found)
    else:
        closer = next(found, None) if kind == "prose" else _outer_end(found)
    body = text[start : closer.start() if closer else len(text)]
    end = len(text)
    if closer is not None:  # a closer that opens the next block is left for it
        end = closer.start() if _opens(closer) else closer.start("info")
    if kind in ("", "prose") and closer is not None and _opens(closer):
        return Block(mark.start(), end, None)
    if (mark["lead"] or "").lstrip().startswith(">"):
        body = re.sub(r"^[ \t]*>[ \t]?", "", body, flags=re.MULTILINE)
    if kind == "code" and _CODE_BEGINS.match(rest) and not _ATTRIBUTES.match(rest):
        body = f"{rest}\n{body}"
    if closer is None or mark["late"]:
        return _doubtful(text, mark, kind, body, end, outputs)
    return _block(mark.start(), end, kind, body, outputs)


def _opens(closer: re.Match[str]) -> bool:
    """Whether a line that ends a block begins another one, rather than go on with prose."""
    info = closer["info"].strip()
    return bool(info) and (kind_of(info)[0] in ("code", "final", "json") or info.isalnum())


def _outer_end(closers: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return the closer of a block that may hold whole blocks of its own."""
    first: re.Match[str] | None = None
    depth = 0
    for closer, _ in zip(closers, range(_MAX_NESTED), strict=False):
        first = first or closer
        if closer["info"].strip():
            depth += 1
        elif depth == 0:
            return closer
        else:
            depth -= 1
    return first


def _doubtful(
    text: str, mark: re.Match[str], kind: str, body: str, end: int, outputs: Sequence[str]
) -> Block | None:
    """Judge a block that never ends, or begins in the middle of a line, by what is in it."""
    if kind in ("code", "final"):
        body = _up_to_other_fence(body, kind)
    if kind == "code" and not compiles(body):
        body = _longest_program(body)
    if kind == "code" and not is_clearly_code(body):
        return None
    if kind == "final" and mark["late"]:
        return None
    return _block(mark.start(), end, kind, body, outputs)


def _up_to_other_fence(body: str, kind: str) -> str:
    """Let a fence of another kind or length end a block that has no end of its own."""
    other = _OTHER_FENCE.search(body)
    if other is None or (kind == "code" and not compiles(body[: other.start()])):
        return body
    return body[: other.start()]


def _longest_program(body: str) -> str:
    """Cut off the prose that follows code in a block without an end."""
    at = len(body)
    for _ in range(_MAX_BAD):
        at = body.rfind("\n\n", 0, at)
        if at < 0:
            break
        if compiles(body[:at]) and is_clearly_code(body[:at]):
            return body[:at]
    return body


def _block(start: int, end: int, kind: str, body: str, outputs: Sequence[str]) -> Block:
    if kind == "":
        kind, body = _tag_on_next_line(body)
    inner = _inner(body, outputs)
    if inner is not None and kind != "final":
        return replace(inner, start=start, end=end)
    if kind == "code":
        return Block(start, end, _code(body))
    if kind == "final":
        return Block(start, end, _final(body, inner, outputs))
    if kind == "" and is_clearly_code(body):
        return Block(start, end, _code(body))
    if kind in ("", "prose", "json"):
        return Block(start, end, None)
    return Block(
        start,
        end,
        f"Your block is tagged {kind!r}, and only Python runs here. Put Python into a block that "
        "begins with ```repl; call subprocesses from Python if you must.",
        weak=True,
    )


def _tag_on_next_line(body: str) -> tuple[str, str]:
    first, _, rest = body.partition("\n")
    kind, more = kind_of(first.strip())
    named = kind in ("code", "final") and not more and first.strip().isalnum()
    return (kind, rest) if named and rest.strip() else ("", body)


def _inner(body: str, outputs: Sequence[str]) -> Block | None:
    """Return the action that a block holds in the spelling of another dialect."""
    stripped = body.lstrip()
    if stripped[:1] in ("{", "["):
        return next((b for b in _within(stripped, outputs) if b.finding is not None), None)
    if re.match(r"(?:<|&lt;)(?:!\[CDATA\[)?\s*/?rlm|(?:<\?xml)", stripped, re.IGNORECASE):
        return next((b for b in _within(stripped, outputs) if b.finding is not None), None)
    return None


def _within(body: str, outputs: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks inside of a block, unless that is inside of many others."""
    mine = left()
    if mine.nested == 0:
        return
    mine.nested -= 1
    try:
        yield from blocks(body, outputs)
    finally:
        mine.nested += 1


def _code(body: str) -> Finding:
    ticks = _TRAILING_TICKS.search(body) if "```" in body else None
    if ticks is not None and not compiles(body) and compiles(body[: ticks.start()]):
        body = body[: ticks.start()]
    code = mended(body)
    if not code.strip():
        return "Your code block is empty. Put the Python to run between ```repl and ```."
    return Exec(code)


def _final(body: str, inner: Block | None, outputs: Sequence[str]) -> Finding:
    if not body.strip():
        return "Your final block is empty. Put the answer between ```final and ```."
    if inner is not None and isinstance(inner.finding, Final) and not inner.weak:
        return replace(inner.finding, dialect="fence")
    if _ENDING.match(body) and compiles(body.strip()):
        return Exec(body.strip())
    return Final(final_value(body, outputs))


# -- tags --------------------------------------------------------------------------------------


def _tag(text: str, mark: re.Match[str], outputs: Sequence[str]) -> Block | None:
    start = mark.end()
    final = mark["name"].lower() == "final"
    closers = _TAG_END.finditer(text, start)
    closer = next(closers, None) if final else code_end(text, start, closers)
    if closer is None:
        loose = _LOOSE_TAG_END.search(text, start)
        if loose is not None:
            return Block(
                mark.start(), loose.end(), _tagged(text[start : loose.start()], final, outputs)
            )
    body = text[start : closer.start() if closer else len(text)]
    end = len(text)
    if closer is not None:
        end = closer.end() if closer["slash"] else closer.start()
        if not closer["slash"] and not body.strip() and not final:
            return None
    if closer is None or not closer["slash"]:
        if not final and not is_clearly_code(body):
            return None
        if final and text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip():
            return None
    if mark["open"] != "<":
        body = without_entities(body)
    if body.lstrip().startswith(_CDATA):
        body = body.strip().removeprefix(_CDATA).removesuffix("]]>")
    return Block(mark.start(), end, _tagged(body, final, outputs))


def _tagged(body: str, final: bool, outputs: Sequence[str]) -> Finding:
    if not body.strip():
        name = "final" if final else "code"
        return f"Your <rlm-{name}> is empty. Put the {'answer' if final else 'Python'} inside it."
    if final:
        return Final(final_value(body, outputs), dialect="tags")
    fenced = next((b.finding for b in _within(body, ()) if isinstance(b.finding, Exec)), None)
    if isinstance(fenced, Exec) and re.match(r"\s*(?:```|~~~)", body):
        return replace(fenced, dialect="tags")
    return Exec(mended(body), dialect="tags")


# -- objects -----------------------------------------------------------------------------------


def _object(text: str, at: int, outputs: Sequence[str]) -> Block | None:
    read = read_object(text, at)
    if read is None:
        return None
    value, end = read
    finding = from_object(value)
    if finding is not None:
        return Block(at, end, finding, weak=isinstance(finding, str))
    return Block(at, end, weak_final(value, outputs), weak=True)
