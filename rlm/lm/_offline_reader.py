"""How the embedded program answers a sub-call: it reads the text in its prompt, and only that."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from rlm.lm._offline_question import number, plain_number, understand
from rlm.lm.base import Message

__all__ = ["CANNOT", "NOT_HERE", "answer", "output_fields", "shaped"]

CANNOT = "I am a small program, not a language model: I do not know how to answer this."
NOT_HERE = "not here"

_DATA = re.compile(r"<((?:context|input)(?:-\d+)?)>\n(.*?)\n</\1>", re.DOTALL)
_OUTPUT = re.compile(r"^- `(\w+)`: (.+)$", re.MULTILINE)
_GOOD = frozenset(
    re.findall(
        r"\w+",
        """excellent great good love loved lovely perfect best happy delighted recommend recommended
        fast reliable beautiful superb friendly quick helpful wonderful amazing""",
    )
)
_BAD = frozenset(
    re.findall(
        r"\w+",
        """bad terrible awful broken broke poor worst slow disappointed disappointing refund unhappy
        useless late rude cracked leaks leaked noisy faulty hate hated""",
    )
)


def answer(messages: Sequence[Message]) -> str:
    """Return the reply to a sub-call, plain or typed."""
    if messages[0].role != "system":
        return _plain(messages[0].content)
    contract, _, outputs = messages[0].content.rpartition("\n\nOutputs:\n")
    question = contract.partition("\n\nInputs, each given")[0]
    return _typed(question, output_fields(outputs), _data(messages[1].content))


def _data(text: str) -> str:
    """Return what stands between the marks of data, or the whole text when nothing does."""
    return "\n".join(found[1] for found in _DATA.findall(text)) or text


def _typed(question: str, fields: Sequence[tuple[str, str]], data: str) -> str:
    values = {name: _value(question, name, kind, data, len(fields)) for name, kind in fields}
    if any(value is CANNOT for value in values.values()):
        return CANNOT
    return json.dumps(values, ensure_ascii=False)


def output_fields(text: str) -> list[tuple[str, str]]:
    """Return the name and type of each output that a prompt lists, up to its first blank line."""
    found = _OUTPUT.findall(text.strip().split("\n\n")[0])
    return [(name, _type_of(rest)) for name, rest in found]


def _type_of(rest: str) -> str:
    """Return the type at the start of `type. description`; dots in brackets belong to the type."""
    depth = 0
    for at, char in enumerate(rest):
        depth += (char in "[(") - (char in "])")
        if depth == 0 and rest.startswith(". ", at):
            return rest[:at]
    return rest


def _plain(text: str) -> str:
    asked = understand(_DATA.sub("", text)[:2000])
    if asked.kind == "unknown":
        return CANNOT
    value = asked.read(_data(text))
    if value is None:
        return NOT_HERE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(question: str, name: str, kind: str, data: str, fields: int) -> Any:
    """Return one output: a choice, what the question asks for, or what a label in the text says."""
    if kind.startswith("Literal["):
        options = ast.literal_eval(kind[len("Literal") : kind.rindex("]") + 1])
        return _choice(list(options), data)
    asked = understand(question)
    if fields > 1 or asked.kind == "unknown":
        return shaped(_labelled(name, data), kind)
    return shaped(asked.read(data), kind)


def shaped(value: Any, kind: str) -> Any:
    """Return a value as its type is written in JSON; CANNOT when the program has none for it."""
    if value is None:
        return None if "None" in kind else NOT_HERE if kind == "str" else CANNOT
    if isinstance(value, str) and kind.startswith(("int", "float", "Decimal")):
        found = number(value)
        return value if found is None else plain_number(found)
    return value if kind != "str" or isinstance(value, str) else json.dumps(value)


def _labelled(name: str, data: str) -> str | None:
    """Return what stands after `Name:` at the start of a line, or in "The name is …."."""
    words = r"[ _-]".join(map(re.escape, name.split("_")))
    line = re.search(rf"(?im)^[^\w\n]*{words}(?: no\.?| number)?[ \t]*[:=][ \t]*(\S[^\n]*)$", data)
    if line:
        return line[1].strip()
    sentence = re.search(rf"(?im)\b{words} is ([^\n]{{1,200}}?)(?:\.(?=\s|$)|$)", data)
    return sentence[1].strip() if sentence else None


def _choice(options: list[Any], data: str) -> Any:
    """Return the option that the words of the text speak for: moods by word lists, else by name."""
    words = re.findall(r"[a-z']+", data.lower())
    if {"positive", "negative"} <= set(options):
        return _mood(options, sum(w in _GOOD for w in words), sum(w in _BAD for w in words))
    named = {
        option: len(re.findall(rf"\b{re.escape(str(option))}\b", data, re.I)) for option in options
    }
    best = max(named, key=lambda option: named[option])
    return best if named[best] else CANNOT


def _mood(options: list[Any], good: int, bad: int) -> Any:
    between = next((o for o in ("mixed", "neutral") if o in options), None)
    if good == bad or min(good, bad) * 2 > max(good, bad):
        return between or CANNOT
    return "positive" if good > bad else "negative"
