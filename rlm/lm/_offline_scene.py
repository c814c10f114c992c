"""What the embedded program reads in the transcript of a session."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rlm.lm._offline_reader import output_fields
from rlm.lm.base import Message
from rlm.prompt.dialect import Dialect

__all__ = ["Scene", "is_session", "read_scene"]

_TASK = re.compile(r"<(task(?:-\d+)?)>\n(.*?)\n</\1>", re.DOTALL)
_EXCERPT = re.compile(r"<(excerpt(?:-\d+)?)[^>\n]*>\n.*?\n</\1>", re.DOTALL)
_INPUT = re.compile(r"^`(\w+)`: (\w+)", re.MULTILINE)
_ASKED = re.compile(
    r"^`(?:question|query)`: [^<]*?\bwhole\b[^<\n]*\n<(excerpt(?:-\d+)?)>\n(.*?)\n</\1>",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_MODEL = re.compile(r"^- `([^`\n]+)`[^\n]*\bwindow\b", re.MULTILINE)
_STDOUT = re.compile(r"<(stdout(?:-\d+)?)[^>\n]*>\n(.*?)\n?</\1>", re.DOTALL)
_LABEL = re.compile(r"^(\w+): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the transcript says: the task, the outputs and inputs, and what the cells printed.

    `asked` is the value of an input that is called a question, where the opening shows it whole.
    `known` has the lines that were printed as `label: value`, by label; the last cell that printed
    a label counts. `failed` is the error of the last cell, if it had one.
    """

    task: str
    asked: str
    outputs: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    models: tuple[str, ...]
    dialect: Dialect
    sub_calls: bool
    last: bool
    turn: int
    failed: str = ""
    known: dict[str, list[str]] = field(default_factory=dict)


def is_session(messages: Sequence[Message]) -> bool:
    """Whether the transcript is that of a session, in which cells can be run."""
    return bool(messages) and "# What a cell can call" in messages[0].content


def read_scene(messages: Sequence[Message]) -> Scene:
    """Read a transcript; nothing else is known of the run."""
    system, opening, *rest = messages
    said = [at for at, message in enumerate(rest) if message.role == "assistant"]
    since = [m.content for m in (rest[said[-1] + 1 :] if said else rest)]
    known: dict[str, list[str]] = {}
    for message in rest:
        if message.role == "user":
            known |= _labels(message.content)
    contract = system.content.rpartition("# Outputs\n")[2].strip()
    task = _TASK.search(opening.content)
    asked = _ASKED.search(opening.content)
    described = _EXCERPT.sub("", opening.content)
    return Scene(
        task="\n".join([task[2] if task else "", *contract.split("\n\n")[1:]]).strip(),
        asked=asked[2] if asked else "",
        outputs=tuple(output_fields(contract)),
        inputs=tuple(_INPUT.findall(described)),
        models=tuple(_MODEL.findall(system.content)),
        dialect=_dialect(system.content),
        sub_calls="`parallel_queries(" in system.content,
        last=any("This is the last request:" in text for text in since),
        turn=len(said),
        failed=next((_error(text) for text in since if _error(text)), ""),
        known=known,
    )


def _dialect(system: str) -> Dialect:
    taught = system.partition("# What you see")[0]
    if "<rlm-code>" in taught:
        return "tags"
    return "json" if '"action": "exec"' in taught else "fence"


def _labels(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _, printed in _STDOUT.findall(text):
        for label, value in _LABEL.findall(printed):
            found.setdefault(label, []).append(value)
    return found


def _error(text: str) -> str:
    found = re.search(r"<(error(?:-\d+)?)[^>\n]*>\n([^\n]*)", text)
    return found[2] if found else ""
