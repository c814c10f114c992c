"""The cells of one call: the session they run in, and what the trace tells of each."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from rlm import events
from rlm.bridge import Bridge
from rlm.call import Call
from rlm.files import File, located
from rlm.sandbox.base import CellError, Execution, OnOutput, OpenOptions, Session
from rlm.sandbox.remedies import warn_of
from rlm.subcalls import SubCalls
from rlm.submission import Submission

__all__ = ["Cells"]


class Cells:
    """The cells of one call, numbered from 1, in a session that opens when the first is to run.

    `turns` is what a cell finds in its `history`. `make_repl` makes a child with a session of its
    own. Leaving the `async with` block closes the session.
    """

    def __init__(self, call: Call, submission: Submission, make_repl: Callable[..., Call]) -> None:
        self.id = call.id
        self.run = call.run
        self.cell_number = 0
        self.turns: list[dict[str, Any]] = []
        self._call = call
        self._submission = submission
        self._make_repl = make_repl
        self._session: Session | None = None
        self._nested: dict[str, File] | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Cells:
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._open.__aexit__(*failure)

    def submit(self, value: Any, *, named: bool) -> None:
        """Take an output that a cell submits, or raise ValidationFailed."""
        self._submission.submit(value, named=named)

    def earlier_turns(self) -> list[dict[str, Any]]:
        """The turns so far: code, output, value and error of each."""
        return self.turns

    async def execute(self, code: str, turn: int) -> Execution:
        """Run a cell; whatever happens to it, the trace has its ending."""
        self.run.trace.emit(
            events.CellStarted, self.id, turn=turn, cell=self.cell_number, code=code
        )
        try:
            execution = await (await self._opened()).execute(code)
        except BaseException as error:  # cancelled, or no sandbox is left
            why = str(error) or "the cell was cancelled"
            lost = CellError(type(error).__name__, why, kind="lost")
            self._record(Execution(error=lost), turn)
            raise
        self._record(execution, turn)
        return execution

    async def _opened(self) -> Session:
        if self._session is not None:
            return self._session
        began = time.monotonic()
        call, tools = self._call, self.run.config.tools
        place = await self.run.place()
        warn_of(self.run.config.sandbox.name, place.facts.get("missing") or ())
        options = OpenOptions(
            seed=_seed(self.run.config.seed, self.id),
            signatures={tool.name: (tool.signature, tool.description) for tool in tools},
            outputs=call.output_names,
        )
        variables = self._variables()
        bridge = Bridge(self, SubCalls(call, self._make_repl), tools)
        self._session = await self._open.enter_async_context(
            place.open(variables, bridge.functions(), options, self._on_output())
        )
        self.run.trace.emit(
            events.SessionOpened,
            self.id,
            seed=options.seed,
            variables=tuple(variables),
            confinement=dict(place.facts) if call.is_root else {},
            seconds=round(time.monotonic() - began, 6),
        )
        return self._session

    def _variables(self) -> dict[str, Any]:
        variables = dict(self._call.inputs)
        texts = [value for value in variables.values() if isinstance(value, (str, File))]
        if len(texts) == 1:
            variables.setdefault("context", texts[0])
        return variables

    def _file(self, name: str) -> File | None:
        """Return the input file of a name such as `report`, or `docs[1]` for one in a list."""
        inputs = self._call.inputs
        found = inputs.get(name)
        if isinstance(found, File):
            return found
        if self._nested is None:  # large inputs are looked through once, and only for this
            pairs = (located(*pair) for pair in inputs.items())
            self._nested = {place: file for files in pairs for place, file in files}
        return self._nested.get(name)

    def _on_output(self) -> OnOutput | None:
        trace = self.run.trace
        if not trace.watched:
            return None
        return lambda stream, text: trace.show(events.Delta(self.id, stream, text))

    def _record(self, execution: Execution, turn: int) -> None:
        emit, cell = self.run.trace.emit, self.cell_number
        error = execution.error
        if error is not None and error.kind == "lost":
            emit(events.SessionLost, self.id, cell=cell, reason=error.message)
        for name in execution.files:
            file = self._file(name)
            if file is not None:
                emit(events.FileRead, self.id, cell=cell, name=name, size=file.size)
        emit(
            events.CodeExecuted,
            self.id,
            turn=turn,
            cell=cell,
            stdout=execution.stdout,
            stderr=execution.stderr,
            stdout_chars=execution.stdout_chars,
            stderr_chars=execution.stderr_chars,
            value=execution.value,
            error=_cell_error(error) if error else None,
            variables=tuple(events.VariableFact(**asdict(v)) for v in execution.variables),
            seconds=round(execution.seconds, 6),
            **_images(execution),
        )


def _images(execution: Execution) -> dict[str, Any]:
    """Return the field about images where there are any: a line leaves out what is not set."""
    if not execution.images:
        return {}
    return {"images": tuple(events.ImageFact(**asdict(image)) for image in execution.images)}


def _cell_error(error: CellError) -> events.ErrorFact:
    fields = asdict(error)
    return events.ErrorFact(type=fields.pop("type"), message=fields.pop("message"), details=fields)


def _seed(seed: int, call: str) -> int:
    digest = hashlib.sha256(f"{seed}:{call}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
