"""From words on a command line to what a run is asked: its question and its inputs."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm.errors import ConfigurationError

if TYPE_CHECKING:
    from rlm.signature import Signature

__all__ = ["Task", "read_pairs", "read_task"]

_NAMED = re.compile(r"(?P<name>[A-Za-z]\w*)=(?P<file>.+)", re.DOTALL)


@dataclass(frozen=True)
class Task:
    """What a run is asked: a signature, its inputs by name, and instructions."""

    signature: str | Signature
    inputs: Mapping[str, Any] = field(default_factory=dict)
    instructions: str | None = None


def read_task(
    question: str | None,
    files: Sequence[str],
    values: Sequence[str],
    signature: str | None,
    instructions: str | None,
) -> Task:
    """Return the task that the arguments of `rlm run` say.

    Without a signature the question is the task and the answer is text; the one unnamed file is
    `context`, and of several each is named after itself. With a signature, unnamed files are its
    inputs in order; the question is its input `question` if it has one, and else its instructions.
    """
    if (question is None or question == "-") and "-" in map(_file_of, files):
        raise ConfigurationError(
            "stdin cannot be both the question and a file: give the question as an argument"
        )
    inputs = read_pairs(values, "-i name=value")
    if signature is None:
        named = _name_files(files, inputs, None)
        asked = _question(question)
        fields = ", ".join({**named, **inputs})
        return Task(
            f"{fields} -> answer".strip(), {**named, **inputs}, _joined(asked, instructions)
        )
    from rlm.signature import Signature

    contract = Signature.parse(signature)
    free = [f.name for f in contract.inputs if f.name not in inputs]
    asks = "question" in free and not any(f.startswith("question=") for f in files)
    if asks:
        inputs["question"] = _question(question)
        free.remove("question")
    inputs |= _name_files(files, inputs, free)
    told = None if asks or question is None else _question(question)
    wanted = _joined(contract.instructions, told, instructions)
    return Task(contract.with_instructions(wanted) if wanted else contract, inputs)


def read_pairs(pairs: Sequence[str], form: str) -> dict[str, Any]:
    """Return `name=value` arguments as a mapping; `form` is how the option is written."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise ConfigurationError(f"{pair!r} is not of the form {form}")
        if name in found:
            raise ConfigurationError(f"{name!r} is given twice with {form}")
        found[name] = value
    return found


def _question(question: str | None) -> str:
    """Return the question, from stdin when it is not an argument (RR-65)."""
    if question is not None and question != "-":
        found = question
    elif sys.stdin is None or sys.stdin.isatty():
        raise ConfigurationError(
            'no question: give it as an argument, as in rlm run "Who signed?" -c FILE, or on stdin'
        )
    else:
        found = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not found.strip():
        raise ConfigurationError("the question is empty")
    return found.strip()


def _joined(*parts: str | None) -> str | None:
    return "\n\n".join(part for part in parts if part) or None


def _file_of(argument: str) -> str:
    named = _split(argument)
    return named[1] if named else argument


def _split(argument: str) -> tuple[str, str] | None:
    """Return name and file of `name=FILE`; a file of that whole name comes first."""
    found = _NAMED.fullmatch(argument)
    if found is None or Path(argument).exists():
        return None
    return found["name"], found["file"]


def _name_files(
    files: Sequence[str], taken: Mapping[str, Any], free: list[str] | None
) -> dict[str, Any]:
    """Return the files by input name; `free` are the names that a signature still needs."""
    split = [_split(argument) for argument in files]
    named = dict(pair for pair in split if pair is not None)
    unnamed = [argument for argument, pair in zip(files, split, strict=True) if pair is None]
    if len(named) + len(unnamed) < len(files):
        raise ConfigurationError("two files are given the same name with -c name=FILE")
    if free is None:
        names = ["context"] if len(unnamed) == 1 else [_name_of(f) for f in unnamed]
    else:
        names = [name for name in free if name not in named][: len(unnamed)]
        if len(names) < len(unnamed):
            raise ConfigurationError(
                f"the signature has no input left for {unnamed[len(names)]!r}; "
                "say which with -c name=FILE"
            )
    found = {**named, **dict(zip(names, unnamed, strict=True))}
    twice = [n for n in names if names.count(n) > 1 or n in named or n in taken]
    twice += [n for n in named if n in taken]
    if twice:
        raise ConfigurationError(
            f"two inputs would be named {twice[0]!r}; name them with -c name=FILE"
        )
    return {name: _open(argument) for name, argument in found.items()}


def _name_of(argument: str) -> str:
    """Return a variable's name for a file: `Annual report.txt` is `Annual_report`."""
    if argument == "-":
        return "stdin"
    name = re.sub(r"\W+", "_", Path(argument).stem).strip("_")
    return name if name and not name[0].isdigit() else f"file_{name}"


def _open(argument: str) -> Any:
    from rlm.files import File

    if argument == "-":
        return File(file=sys.stdin.buffer, name="stdin.txt")
    return File(argument)
