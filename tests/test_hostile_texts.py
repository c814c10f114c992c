"""What models and cells write costs the host in proportion to its length, whatever it is made of.

A text is made of one part again and again. Work that grows with the square of the length would
take minutes in each of these cases, which is where the watchdog rings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from fuzz.watchdog import watched
from pydantic import BaseModel
from rich.console import Console

from rlm import events, guard, prompt
from rlm.errors import ConfigurationError, ParseError, ValidationFailed
from rlm.prompt.describe import describe
from rlm.prompt.quote import clean, one_line, quoted
from rlm.redaction import Redactor
from rlm.reply import parse
from rlm.reply.loose_json import loads, read_object
from rlm.reply.objects import final_value
from rlm.reply.thinking import parted, spoken
from rlm.sandbox.base import CellError, Execution
from rlm.signature import Signature
from rlm.signature.coerce import convert
from rlm.signature.scalars import Refused
from rlm.sinks import wording
from rlm.sinks.lines import Verbose

PARTS = [
    *("`", "```", "```\n", "\n```", "\n", " ", " \n", "\t", '"', "'", "\\", '\\"', "\\'", "\\\n"),
    *("<", "<think>", "</think>", "\n<think>\n", "<rlm-code>", "<rlm-final>\n", "&lt;", "<a "),
    *("{", "}", "{}", "[", "[],", "(", ")", "()", "- ", "- a\n", "* ", "1. ", "1, ", "1,\n", "0"),
    *("a", "a ", "a=", "a=b ", "a: ", "a\n", 'a="a" ', '{"a":', '{"action": "', '"code": "', '"}'),
    *("'''", '"""', '"""a', "#", "# a\n", "//", "/*", "*/", "> ", ">>> a\n", "~~~", "x ```repl\n"),
    *("```repl\n", "```json\n{", "FINAL(", "submit(\n", ".a", "lambda:", "not ", "-", "1+", "a|"),
    *('f"{', "\\n", "\\ud800", "\u2028", "\x1b", "“", "for x in ", "class ", "->", "# ->\n"),
    *("<![CDATA[", "=", "$", "1,000", ";", "_", "\ufeff", "\r", "&#1", "&amp;", "</stdout-1>"),
]
AROUND = [
    ("", ""),
    ("x", "!"),
    ("```", "x"),
    ("```\n", "\n```"),
    ('"', '"'),
    ("[", "]"),
    ("- ", ""),
]


_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Invoice(BaseModel):
    number: int
    note: str = ""


def _outputs(signature: str) -> Callable[[str], Any]:
    return Signature.parse(signature).coerce


def _loose(text: str) -> None:
    with contextlib.suppress(ValueError):
        loads(text)


def _observed(text: str) -> str:
    error = CellError("Error", text[:10_000], traceback=text, line=1, source=text[:10_000])
    execution = Execution(stdout=text, stderr=text, value=text, error=error)
    return prompt.observation(execution, cell=1, max_chars=10_000)


def _printed(text: str) -> None:
    show = Verbose(Console(file=StringIO(), width=100))
    common: dict[str, Any] = {"run": "r", "seq": 1, "t": 0.0, "call": "0", "turn": 1, "at": _NOW}
    show(events.CellStarted(**common, type="cell_started", cell=1, code=text))
    show(events.OutputRefused(**common, type="output_refused", problems=(text,), source="submit"))


def _worded(text: str) -> None:
    wording.one_line(text)
    wording.first_line(text)
    wording.excerpt(text, 12)


LARGE: dict[str, Callable[[str], Any]] = {
    "int": lambda text: convert(text, int),
    "float": lambda text: convert(text, float),
    "list of numbers": lambda text: convert(text, list[int]),
    "list of texts": lambda text: convert(text, list[str]),
    "dict": lambda text: convert(text, dict[str, int]),
    "record": lambda text: convert(text, Invoice),
    "a list or none": lambda text: convert(text, list[Invoice] | None),
    "two texts": _outputs("-> a: str, b: str"),
    "spoken": spoken,
    "parted": parted,
    "object": lambda text: read_object(text, text.find("{")) if "{" in text else None,
    "loose json": _loose,
    "final value": lambda text: final_value(text, ("a", "b")),
    "clean": clean,
    "one line": one_line,
    "quoted": lambda text: quoted("stdout", text),
    "described": lambda text: describe("x", text),
    "observed": _observed,
    "refusal": lambda text: prompt.refusal([text]),
    "worded": _worded,
    "printed": _printed,
    "redacted": Redactor({"KEY": '"""```"""```'}),
}
"""What only goes over a text."""
_SLOW = {"printed", "observed", "refusal"}
SMALL: dict[str, Callable[[str], Any]] = {
    "reply": parse,
    "reply with fields": lambda text: parse(text, outputs=("a", "b")),
    "code": guard.check,
    "signature": Signature.parse,
    "inputs of a signature": lambda text: Signature.parse(f"{text} -> x"),
}
"""What may parse a text as Python, which takes a microsecond for each character."""
_REFUSALS = (Refused, ParseError, ConfigurationError, ValidationFailed)


@pytest.mark.parametrize("name", LARGE)
def test_what_goes_over_a_text_goes_over_it_once(name: str) -> None:
    _try(LARGE[name], 60_000, AROUND[: 1 if name in _SLOW else None])


@pytest.mark.parametrize("name", SMALL)
def test_what_parses_a_text_does_so_a_few_times(name: str) -> None:
    _try(SMALL[name], 20_000, AROUND[:2])


def _try(read: Callable[[str], Any], length: int, around: list[tuple[str, str]]) -> None:
    for part in PARTS:
        for before, after in around:
            with watched(), contextlib.suppress(*_REFUSALS):
                read(before + part * (length // len(part)) + after)


@pytest.mark.parametrize(
    "text",
    [
        "f" + "(x, 'a')" * 900,
        "getattr" + "(x, 'a')" * 900,
        "(" * 190 + ")" * 190,
        "a" + ".a" * 100_000,
        "a" + "()" * 100_000,
        "return " + "1+" * 100_000 + "1",
        "-" * 100_000 + "1",
        "lambda:" * 100_000 + "1",
        "x = [" + "1," * 300_000 + "]",
    ],
    ids=lambda text: text[:12],
)
def test_code_that_is_nested_is_checked_or_refused(text: str) -> None:
    with watched():
        guard.check(text)


def test_code_of_many_megabytes_is_refused_by_its_size() -> None:
    checked = guard.check("x = 1\n" * 1_000_000)
    assert "6,000,000 characters, and 1,000,000 are the most" in str(checked.syntax)
