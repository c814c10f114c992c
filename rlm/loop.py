"""A call that answers in turns: the model writes cells, the sandbox runs them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from rlm import events, guard, prompt
from rlm.bridge import Bridge
from rlm.call import Call
from rlm.errors import BudgetExceeded, NoProgress, ParseError, RunError, ValidationFailed
from rlm.files import File
from rlm.lm.base import Reply
from rlm.reply import Exec, Final, parse
from rlm.sandbox.base import CellError, Execution, OpenOptions, Session
from rlm.signature import Output, validate
from rlm.subcalls import SubCalls
from rlm.transcript import Transcript

__all__ = ["ReplCall"]

_LAST_SECONDS = 120  # the last request may outlive max_seconds, but not for ever


class ReplCall(Call):
    """A call whose model works in a REPL, turn by turn, until an output satisfies the signature.

    Its session opens when the first cell is to run. When turns, time or money run out, one last
    request asks for the answer; for the root the money for it was held back.
    """

    route = "repl"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cell_number = 0
        self._turns: list[dict[str, Any]] = []
        self._accepted: Output | None = None
        self._defect: Exception | None = None
        self._offered: Output | None = None
        self._problems: list[str] = []
        self._failures = 0
        self._session: Session | None = None
        self._transcript = Transcript(self)

    @property
    def _limits(self) -> Any:
        return self.run.limits

    async def _answer(self) -> Output:
        async with AsyncExitStack() as self._stack:
            self._transcript.open(self._opening())
            try:
                return await self._take_turns()
            except (BudgetExceeded, NoProgress) as stop:
                return await self._stopped(stop)

    def _opening(self) -> prompt.Opening:
        texts = [name for name, value in self.inputs.items() if isinstance(value, (str, File))]
        return prompt.Opening(
            signature=self.signature,
            task=self.task,
            inputs=self.facts,
            limits=self._limits,
            dialect=self.run.config.dialect,
            depth_left=max(self._limits.max_depth - self.depth, 0),
            models=self.run.roster.facts(),
            tools=[tool_fact(tool) for tool in self.run.config.tools],
            context_name=texts[0] if len(texts) == 1 else None,
        )

    # Turns ------------------------------------------------------------------------------------

    async def _take_turns(self) -> Output:
        left = self.run.budget.seconds_left if self._is_root else None
        try:
            async with asyncio.timeout(left) as clock:
                return await self._turns_in_time()
        except TimeoutError:
            if not clock.expired():
                raise
            spent = round(self.run.budget.seconds, 3)
            raise BudgetExceeded("max_seconds", spent, self._limits.max_seconds) from None

    async def _turns_in_time(self) -> Output:
        cap = self._limits.max_iterations
        while cap is None or self.iterations < cap:
            self.iterations += 1
            output = await self._turn()
            if output is not None:
                return output
            self._check_failures()
        raise BudgetExceeded("max_iterations", self.iterations, cap)

    async def _turn(self) -> Output | None:
        reply = await self._transcript.ask()
        try:
            action = parse(reply.text, outputs=self._names)
        except ParseError as error:
            self._refuse_action(reply, str(error))
            return None
        self.run.trace.emit(
            events.ActionParsed,
            self.id,
            turn=self.iterations,
            kind="exec" if isinstance(action, Exec) else "final",
            dialect=action.dialect,
            skipped=action.skipped,
        )
        if isinstance(action, Final):
            return self._finalize(action)
        return await self._execute(action, reply)

    @property
    def _is_root(self) -> bool:
        return self.parent is None

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.signature.outputs)

    def _refuse_action(self, reply: Reply, problem: str) -> None:
        problem += self._cut_off(reply)
        self._failures += 1
        self.run.trace.emit(events.ActionRefused, self.id, turn=self.iterations, problem=problem)
        self._transcript.say("repair", prompt.repair(problem, self.run.config.dialect))

    def _cut_off(self, reply: Reply) -> str:
        """What a problem of a reply says besides, when the cap of the reply explains it."""
        if reply.finish != "length":
            return ""
        cap = self._transcript.cap
        return f" The reply was also cut off at its cap of {cap:,} tokens: write less."

    def _check_failures(self) -> None:
        cap = self._limits.max_errors
        if cap is not None and self._failures >= cap:
            self.ended_by = "max_errors"
            raise NoProgress(f"{self._failures} turns in a row failed")

    def _finalize(self, action: Final) -> Output | None:
        try:
            output = self._validated(action.value, "final")
        except ValidationFailed as error:
            self._failures += 1
            self._transcript.say("observation", prompt.refusal(error.problems))
            return None
        self.ended_by = "final"
        return output

    # Cells ------------------------------------------------------------------------------------

    async def _execute(self, action: Exec, reply: Reply) -> Output | None:
        self.cell_number += 1
        where = {"turn": self.iterations, "cell": self.cell_number}
        check = guard.check(action.code)
        problem = f"{check.syntax}\n{self._cut_off(reply)}".rstrip() if check.syntax else None
        self.run.trace.emit(
            events.CodeChecked, self.id, problem=problem, warnings=check.warnings, **where
        )
        self._problems = []
        if problem is None:
            execution = await self._run_cell(action.code, where)
        else:
            execution = Execution()
        if self._defect is not None:  # of a validator: no model can mend it
            raise self._defect
        if self._accepted is not None:
            self.ended_by = "submitted"
            return self._accepted
        failed = problem is not None or not execution.ok or bool(self._problems)
        self._failures = self._failures + 1 if failed else 0
        self._observe(action, execution, check.warnings, problem)
        return None

    async def _run_cell(self, code: str, where: dict[str, int]) -> Execution:
        self.run.trace.emit(events.CellStarted, self.id, code=code, **where)
        try:
            execution = await (await self._open()).execute(code)
        except BaseException as error:  # cancelled, or no sandbox is left: an ending all the same
            why = str(error) or "the cell was cancelled"
            self._record(Execution(error=CellError(type(error).__name__, why, kind="lost")), where)
            raise
        self._record(execution, where)
        return execution

    def _record(self, execution: Execution, where: dict[str, int]) -> None:
        error = execution.error
        if error is not None and error.kind == "lost":
            self.run.trace.emit(
                events.SessionLost, self.id, cell=self.cell_number, reason=error.message
            )
        for name in execution.files:
            file = self.inputs.get(name)
            if isinstance(file, File):
                self.run.trace.emit(
                    events.FileRead, self.id, cell=self.cell_number, name=name, size=file.size
                )
        self.run.trace.emit(
            events.CodeExecuted,
            self.id,
            stdout=execution.stdout,
            stderr=execution.stderr,
            stdout_chars=execution.stdout_chars,
            stderr_chars=execution.stderr_chars,
            value=execution.value,
            error=_cell_error(error) if error else None,
            variables=tuple(events.VariableFact(**asdict(v)) for v in execution.variables),
            seconds=round(execution.seconds, 6),
            **where,
        )

    def _observe(
        self, action: Exec, execution: Execution, warnings: tuple[str, ...], problem: str | None
    ) -> None:
        shown = prompt.shown_chars(self._limits.max_output_chars, self._transcript.fill)
        told = prompt.observation(
            execution,
            cell=self.cell_number,
            max_chars=shown,
            warnings=warnings,
            skipped=action.skipped,
            problems=self._problems,
            syntax_problem=problem,
        )
        self._transcript.say("observation", told)
        error = execution.error
        self._turns.append(
            {
                "turn": self.iterations,
                "code": action.code,
                "output": execution.stdout,
                "value": execution.value,
                "error": problem or (f"{error.type}: {error.message}" if error else None),
            }
        )

    async def _open(self) -> Session:
        if self._session is not None:
            return self._session
        began = time.monotonic()
        place = await self.run.place()
        seed = _seed(self.run.config.seed, self.id)
        tools = self.run.config.tools
        bridge = Bridge(self, SubCalls(self, ReplCall), tools)
        options = OpenOptions(
            seed=seed,
            signatures={tool.name: (tool.signature, tool.description) for tool in tools},
            outputs=self._names,
        )
        variables = self._variables()
        session = await self._stack.enter_async_context(
            place.open(variables, bridge.functions(), options, self._on_output())
        )
        self.run.trace.emit(
            events.SessionOpened,
            self.id,
            seed=seed,
            variables=tuple(variables),
            confinement=dict(place.facts) if self._is_root else {},
            seconds=round(time.monotonic() - began, 6),
        )
        self._session = session
        return session

    def _variables(self) -> dict[str, Any]:
        variables = dict(self.inputs)
        texts = [value for value in variables.values() if isinstance(value, (str, File))]
        if len(texts) == 1:
            variables.setdefault("context", texts[0])
        return variables

    def _on_output(self) -> Any:
        if not self.run.trace.watched:
            return None
        return lambda stream, text: self.run.trace.show(events.Delta(self.id, stream, text))

    # What the Bridge asks for -----------------------------------------------------------------

    def submit(self, value: Any, *, named: bool) -> None:
        """Take an offered output, perhaps by the names of its fields, or raise ValidationFailed."""
        try:
            self._accepted = self._validated(value, "submit", named)
        except ValidationFailed as error:
            self._problems = error.problems
            raise
        except Exception as error:
            self._defect = error
            raise

    def earlier_turns(self) -> list[dict[str, Any]]:
        """The turns so far: code, output, value and error of each."""
        return self._turns

    def _validated(self, value: Any, source: str, named: bool = False) -> Output:
        try:
            if named:
                self._check_names(value)
            output = self._offered = self.signature.coerce(value)
            if self._is_root:
                output = validate(output, self.run.config.validators)
            fields = self.signature.dump(output)
            self._check_size(fields)
        except ValidationFailed as error:
            self.run.trace.emit(
                events.OutputRefused,
                self.id,
                turn=self.iterations,
                problems=tuple(error.problems),
                source=source,
            )
            raise
        self.run.trace.emit(
            events.OutputSubmitted, self.id, turn=self.iterations, output=fields, source=source
        )
        return output

    def _check_names(self, fields: Mapping[str, Any]) -> None:
        """Refuse misnamed fields: the only text field would else take the whole record as JSON."""
        known = ", ".join(self._names)
        unknown = [f"there is no output {n!r}; the outputs are: {known}" for n in fields
                   if n not in self._names]  # fmt: skip
        if unknown or not fields:
            raise ValidationFailed(unknown or [f"submit() was given nothing; it takes {known}"])

    def _check_size(self, fields: Mapping[str, Any]) -> None:
        cap = self._limits.max_result_bytes
        if cap is not None and (size := len(str(fields).encode("utf-8", "replace"))) > cap:
            raise ValidationFailed([f"the output has {size:,} bytes; the limit is {cap:,}"])

    # The end ----------------------------------------------------------------------------------

    async def _stopped(self, stop: BudgetExceeded | NoProgress) -> Output:
        """Ask once more for the answer, where the run wants that, or give up."""
        if self._accepted is not None:  # its cell was still running when the time was up
            self.ended_by = "submitted"
            return self._accepted
        self.ended_by = self.ended_by or getattr(stop, "limit", "no_progress")
        if isinstance(stop, BudgetExceeded):
            self.run.trace.emit(
                events.LimitReached, self.id, limit=stop.limit, used=stop.used, cap=stop.cap
            )
        if self._is_root and self._limits.on_exceeded != "finalize":
            raise stop
        self.forced = True
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                reply = await self._transcript.ask_last(str(stop))
        except (BudgetExceeded, TimeoutError):
            raise stop from None
        return await self._last_action(reply, stop)

    async def _last_action(self, reply: Reply, stop: RunError) -> Output:
        why = self.ended_by
        try:
            action: Exec | Final = parse(reply.text, outputs=self._names)
        except ParseError:
            if not self._takes_prose or not reply.text.strip():
                raise stop from None
            action = Final(reply.text.strip())
        if isinstance(action, Final):
            return self._validated(action.value, "final")
        output = await self._execute(action, reply)
        self.ended_by = why
        if output is None:
            raise ValidationFailed(self._problems) if self._problems else stop
        return output

    @property
    def _takes_prose(self) -> bool:
        """Whether plain words are an answer: there is one output, and it is a text."""
        return [field.annotation for field in self.signature.outputs] == [str]

    def _kept(self, error: RunError) -> dict[str, Any] | None:
        """Keep an output of the right types that a validator refused, where a person reviews it."""
        review = self._is_root and self._limits.on_exceeded == "needs_review"
        if self._offered is None or not (review and isinstance(error, BudgetExceeded)):
            return None
        return self.signature.dump(self._offered)

    def _summary(self) -> str:
        return f"{self.iterations} turns, {self._children} sub-calls, ended by {self.ended_by}"


def tool_fact(tool: Any) -> events.ToolFact:
    """Return a tool as the trace and the prompt tell of it."""
    return events.ToolFact(
        name=tool.name,
        category=tool.category,
        signature=tool.signature,
        description=tool.description,
        arguments=dict(tool.schema),
    )


def _cell_error(error: CellError) -> events.ErrorFact:
    fields = asdict(error)
    return events.ErrorFact(type=fields.pop("type"), message=fields.pop("message"), details=fields)


def _seed(seed: int, call: str) -> int:
    digest = hashlib.sha256(f"{seed}:{call}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
