"""How the embedded program plays the model of a session: it reads the transcript, then acts."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from rlm.lm import _offline_cells as cells
from rlm.lm._offline_cells import Cell
from rlm.lm._offline_question import Question, number, plain_number, understand
from rlm.lm._offline_reader import CANNOT
from rlm.lm._offline_scene import Scene, read_scene
from rlm.lm.base import Message
from rlm.prompt.dialect import exec_form

__all__ = ["play"]

_LONG = re.compile(r"(?:longer than|over|above) ([\d,]+) characters", re.I)
_GENERIC = {"answer", "value", "result", "response", "output", "text"}
_MOST_TURNS = 12  # more than any of its ways takes
_STOPPED = "I was stopped before I had read enough to answer."
_NOT_FOUND = "I searched everything and did not find it."


def play(messages: Sequence[Message]) -> str:
    """Return the next reply of a session."""
    scene = read_scene(messages)
    step = _step(scene, _question(scene))
    if scene.last:
        return _last(scene, step)
    return _said(scene, step if isinstance(step, Cell) else _submit(step))


def _said(scene: Scene, cell: Cell) -> str:
    if scene.dialect == "json":
        return exec_form("json", cell.code)
    return f"{cell.why}\n\n{exec_form(scene.dialect, cell.code)}"


def _question(scene: Scene) -> Question:
    """Return what is asked: by the task, by an input, or else by the name of the only output."""
    asked = understand(scene.task)
    if asked.kind == "unknown":
        asked = understand(scene.asked)
    if asked.kind == "unknown" and len(scene.outputs) == 1:
        name = scene.outputs[0][0]
        if name not in _GENERIC:
            return Question("find", name.replace("_", " "))
    return asked


Values = dict[str, str]
"""What goes into each output, as Python source."""


def _step(scene: Scene, question: Question) -> Cell | Values:
    if scene.turn == 0:
        return cells.look(scene.inputs)
    if scene.failed:
        return _all(scene, f"My cell failed and I cannot mend it: {scene.failed}")
    if scene.turn > _MOST_TURNS:
        return _all(scene, "I do not see what my cells print, so I have no answer.")
    if _each(scene):
        return _step_each(scene)
    steps = {"find": _step_find, "count": _step_count, "tally": _step_tally, "fold": _step_fold}
    if question.kind not in steps:
        return _all(scene, CANNOT)
    return steps[question.kind](scene, question)


def _step_find(scene: Scene, question: Question) -> Cell | Values:
    if "passage" in scene.known:
        return _found(scene, question)
    if "wide_hits" in scene.known:
        return _all(scene, _NOT_FOUND) if _count(scene, "wide_hits") == 0 else cells.verify()
    if "hits" in scene.known:
        return cells.verify() if _count(scene, "hits") else cells.search(question, wide=True)
    return cells.search(question, wide=False)


def _found(scene: Scene, question: Question) -> Values:
    """Read the value in the passages that were printed; the most frequent when they differ."""
    values = []
    for passage in scene.known["passage"]:
        found = question.read(_text(passage))
        if found is not None:
            values.append(found)
    if not values:
        return _all(scene, _NOT_FOUND)
    best = max(values, key=values.count)
    return _answer(scene, {"text": best, "number": best})


def _step_count(scene: Scene, question: Question) -> Cell | Values:
    if "hits" in scene.known:
        return _answer(scene, {"number": scene.known["hits"][-1]})
    return cells.search(question, wide=False)


def _step_fold(scene: Scene, question: Question) -> Cell | Values:
    if "answer" in scene.known:
        return _answer(scene, _json(scene.known["answer"][-1]))
    return _all(scene, _NOT_FOUND) if "found" in scene.known else cells.fold(question)


def _step_tally(scene: Scene, question: Question) -> Cell | Values:
    whole = len(scene.outputs) == 1 and scene.outputs[0][1].startswith("dict")
    if "answer" in scene.known:
        return _answer(scene, _json(scene.known["answer"][-1]))
    if "nothing" in scene.known:
        return _all(scene, _NOT_FOUND)
    if not scene.sub_calls:
        return cells.tally_by_code(question, whole=whole)
    if "still_failed" in scene.known and _count(scene, "still_failed"):
        why = scene.known.get("why", [""])[-1]
        return _all(scene, f"Some pieces could not be read, so I have no answer: {why}")
    if "replies" in scene.known:
        if _count(scene, "failed") and "still_failed" not in scene.known:
            return cells.again()
        return cells.gather(question, whole=whole)
    if "lines" in scene.known:
        return cells.map_pieces(question) if _count(scene, "lines") else _all(scene, _NOT_FOUND)
    return cells.narrow(question)


def _each(scene: Scene) -> str | None:
    """Return the type of an item when the task is one answer for each text of a collection."""
    kinds = [kind for _, kind in scene.outputs if kind.startswith("list[")]
    many = [kind for _, kind in scene.inputs if kind in ("list", "tuple", "dict")]
    if len(kinds) != 1 or len(many) != 1 or not scene.sub_calls:
        return None
    return kinds[0].removeprefix("list[").removesuffix("]")


def _step_each(scene: Scene) -> Cell | Values:
    item = _each(scene) or ""
    if "replies" not in scene.known:
        return cells.map_items(scene.task, item, **_routing(scene))
    failed = _count(scene, "failed")
    if failed:
        return _all(scene, f"{failed} of the texts could not be read, so I have no answer.")
    record = bool(cells.record_fields(item))
    return {name: _of_rows(name, kind, record) for name, kind in scene.outputs}


def _routing(scene: Scene) -> dict[str, Any]:
    """Return which model reads long texts, when the task says that they are told apart."""
    told = _LONG.search(scene.task)
    if told is None or len(scene.models) < 2:
        return {}
    return {"long_model": scene.models[-1], "long_chars": int(told[1].replace(",", ""))}


def _of_rows(name: str, kind: str, record: bool) -> str:
    """Return the source of an output over the replies: all of them, or the sum of one field."""
    if kind.startswith("list["):
        return "[reply.value for reply in replies]"
    if not record:
        return "len(replies)"
    part = name.rpartition("_")[2]
    return f"sum(reply.value[{part!r}] for reply in replies)"


def _count(scene: Scene, label: str) -> int:
    """Return a number that was printed; 0 when what stands there is no number."""
    found = number(scene.known.get(label, ["0"])[-1])
    return int(found) if found is not None else 0


def _text(printed: str) -> str:
    """Return the text that a printed repr stands for; what is no repr is taken as it is."""
    try:
        return str(ast.literal_eval(printed))
    except (ValueError, SyntaxError):
        return printed


def _json(printed: str) -> dict[str, Any]:
    try:
        value = json.loads(printed)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _answer(scene: Scene, read: dict[str, Any]) -> Values:
    """Put what was read into the outputs by their types; an output it cannot fill says so."""
    return {name: repr(_fitting(kind, read)) for name, kind in scene.outputs}


def _fitting(kind: str, read: dict[str, Any]) -> Any:
    if kind.startswith("dict") and "map" in read:
        return read["map"]
    if kind.startswith("list") and "map" in read:
        return list(read["map"].values())
    if kind.startswith("list"):
        return [read["text"]] if kind == "list[str]" and "text" in read else []
    value = number(str(read.get("number", "")))
    if kind.startswith(("int", "float", "Decimal")):
        return CANNOT if value is None else plain_number(value)
    text = read.get("text") or read.get("word") or read.get("number")
    return text if text is not None else json.dumps(read) if read else CANNOT


def _all(scene: Scene, sentence: str) -> Values:
    """Say in every output that there is no answer: as None where that is allowed."""
    return {name: repr(None if "None" in kind else sentence) for name, kind in scene.outputs}


def _submit(values: Values) -> Cell:
    arguments = ", ".join(f"{name}={source}" for name, source in values.items())
    return Cell("I submit what I have read.", f"submit({arguments})")


_FORM = {
    "fence": "```final\n{}\n```",
    "json": '{{"action": "final", "answer": {}}}',
    "tags": "<rlm-final>{}</rlm-final>",
}


def _last(scene: Scene, step: Cell | Values) -> str:
    """Answer without looking further: what was read so far, or that it is not enough."""
    values = _all(scene, _STOPPED) if isinstance(step, Cell) else step
    if _each(scene) and not isinstance(step, Cell):
        return _said(scene, _submit(values))
    answer = {name: ast.literal_eval(source) for name, source in values.items()}
    return _FORM[scene.dialect].format(json.dumps(answer, ensure_ascii=False))
