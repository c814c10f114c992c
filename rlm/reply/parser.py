"""From a reply to its action: the first one that is meant, or a sentence on what was wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from rlm.errors import ParseError
from rlm.reply.actions import Action, Exec, Final
from rlm.reply.blocks import Block, blocks
from rlm.reply.code import compiles, is_clearly_code, mended
from rlm.reply.effort import effort
from rlm.reply.objects import final_value
from rlm.reply.thinking import Parted, parted

__all__ = ["parse"]

_HOW = (
    "Write one ```repl block with the Python to run; to end, call submit(...) in it or write one "
    "```final block with the answer."
)
_CALL = re.compile(
    r"[*`\s]*(?P<name>FINAL_VAR|FINAL|SUBMIT|submit)\s*\((?P<body>.*)\)[*`;.\s]*\Z", re.DOTALL
)
_CALL_LINE = re.compile(r"^[*` \t]*(?:FINAL_VAR|FINAL|SUBMIT|submit)[ \t]*\(", re.MULTILINE)
_POOR_FENCE = re.compile(
    r"^(?P<marks>``|'''|\"\"\")(?P<tag>repl|python|py|final)[ \t]*\n", re.MULTILINE | re.IGNORECASE
)
_HEADLESS = re.compile(r"[\"'](?:action|code|thought|reasoning)[\"']\s*:")
_STRAY_END = re.compile(r"(?:```|</\s*rlm-?code\s*>)\Z", re.IGNORECASE)
_MOST_PARAGRAPHS = 12
_LONGEST_BARE = 200_000


def parse(text: str, *, outputs: Sequence[str] = ()) -> Action:
    """Return the first action of a reply.

    `outputs` names the fields of the signature, for answers that are objects. Raises ParseError
    with a sentence for the model when the reply holds no action that can be carried out.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff\u200b")
    if not text.strip():
        raise ParseError(f"Your reply is empty. {_HOW}")
    with effort(len(text)):
        return _parsed(text, outputs)


def _parsed(text: str, outputs: Sequence[str]) -> Action:
    parts = parted(_uncovered(text))
    found = list(blocks(parts.visible, outputs))
    action = _chosen(parts.visible, found, outputs)
    if action is not None:
        if isinstance(action, Final) and isinstance(action.value, str) and len(outputs) > 1:
            action = replace(action, value=final_value(action.value, outputs))
        return replace(action, reasoning=_joined(parts.thinking, action.reasoning))
    drafted = _drafted(parts, outputs)
    if drafted is not None:
        return drafted
    raise ParseError(_complaint(parts, found))


def _uncovered(text: str) -> str:
    """Take off what covers a reply as a whole: inline code, a JSON string, fences of a sort."""
    whole = text.strip()
    if len(whole) > 2 and whole[0] == whole[-1] == "`" and whole.count("`") == 2:
        return whole[1:-1]
    if _HEADLESS.match(whole):  # the opening brace was taken for granted
        return "{" + whole
    if len(whole) > 2 and whole[0] == whole[-1] == '"' and whole[1] != '"':
        try:
            return str(json.loads(whole))
        except ValueError:
            return text
    if "```" in text or "<rlm" in text.lower():
        return text
    opening = _POOR_FENCE.search(text)
    closing = text.find(f"\n{opening['marks']}", opening.end() - 1) if opening else -1
    if opening is None or closing < 0:
        return text
    body = text[opening.end() : closing]
    after = text[closing + 1 + len(opening["marks"]) :]
    return f"{text[: opening.start()]}```{opening['tag']}\n{body}\n```{after}"


def _chosen(text: str, found: Sequence[Block], outputs: Sequence[str]) -> Action | None:
    strong = [b for b in found if isinstance(b.finding, Exec | Final) and not b.weak]
    weak = [b for b in found if isinstance(b.finding, Exec | Final) and b.weak]
    if strong or (weak and not _in_prose(text, weak[0])):
        block = (strong or weak)[0]
        action = block.finding
        assert isinstance(action, Exec | Final)  # by the choice above
        around = _joined(text[: block.start], text[block.end :])
        return replace(action, reasoning=around, skipped=max(len(strong) - 1, 0))
    if any(isinstance(b.finding, str) for b in found):
        return None
    return _last_call(text, found) or _bare(text)


def _in_prose(text: str, block: Block) -> bool:
    """Whether an object that names no action stands within a line of prose."""
    line = text[text.rfind("\n", 0, block.start) + 1 : block.start].strip()
    return bool(line) and not line.startswith("```") and len(line) > 40


def _last_call(text: str, found: Sequence[Block]) -> Action | None:
    """Read `FINAL(…)` or `submit(…)` that ends a reply, as other runtimes teach it."""
    after = max((block.end for block in found), default=0)
    starts = [match.start() for match in _CALL_LINE.finditer(text, after)]
    for start in starts[-1:] if len(starts) > 8 else starts:
        call = _CALL.match(text, start)
        if call is None:
            continue
        before = text[:start].strip()
        line = text[start:].strip(" \t\n*`;.")
        if compiles(line):
            return Exec(line, before, dialect="plain")
        if call["name"] == "FINAL" and call["body"].strip():
            return Final(final_value(call["body"].strip(" \n\"'")), before, dialect="plain")
    return None


def _bare(text: str) -> Action | None:
    """Take a reply that is nothing but a program, perhaps after some prose, for one."""
    if len(text) > _LONGEST_BARE or text.lstrip()[:1] in ("{", "["):
        return None
    text = _STRAY_END.sub("", text.strip()).rstrip()
    starts = [0, *(gap.end() for gap in re.finditer(r"\n\s*\n", text))]
    for start in starts[:_MOST_PARAGRAPHS]:
        code = mended(text[start:])
        if code and compiles(code) and is_clearly_code(code):
            return Exec(code, text[:start].strip(), dialect="plain")
    return None


def _drafted(parts: Parted, outputs: Sequence[str]) -> Action | None:
    """Look for an action inside the thinking, when nothing came after it."""
    if not parts.thinking or (parts.closed and parts.visible.strip()):
        return None
    found = list(blocks(parts.thinking, outputs))
    action = _chosen(parts.thinking, [b for b in found if not b.weak], outputs) if found else None
    if action is None or (parts.closed and isinstance(action, Final)):
        return None  # an answer that was only thought of is none
    return action


def _complaint(parts: Parted, found: Sequence[Block]) -> str:
    problem = next((block.finding for block in found if isinstance(block.finding, str)), None)
    if problem:
        return problem
    if not parts.visible.strip():
        return f"Your reply holds only thinking and no action after it. {_HOW}"
    text = parts.visible.strip()
    if text[0] in "{[" or re.fullmatch(r"-?[\d.,]+|true|false|null", text):
        return f"Your reply is JSON or a bare value that names no action. {_HOW}"
    if "FINAL" in text or "submit(" in text or "```" in text or "<rlm-" in text:
        return f"Your reply mentions an action and holds none that is complete. {_HOW}"
    return f"Your reply is prose without an action: nothing was run, nothing submitted. {_HOW}"


def _joined(*texts: str) -> str:
    return "\n\n".join(text.strip() for text in texts if text.strip())
