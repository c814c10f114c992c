"""A call that answers in turns: the model writes cells, the sandbox runs them."""

from __future__ import annotations

import asyncio
from typing import Any

from rlm import events, guard, prompt
from rlm.call import Call
from rlm.cells import Cells
from rlm.errors import BudgetExceeded, NoProgress, ParseError, RunError, ValidationFailed
from rlm.files import File
from rlm.limits import Limits
from rlm.lm.base import Reply
from rlm.reply import Exec, Final, parse
from rlm.reply.thinking import spoken
from rlm.sandbox.base import Execution
from rlm.signature import Output
from rlm.submission import Submission
from rlm.tools.base import Tool
from rlm.transcript import Transcript

__all__ = ["ReplCall"]

_LAST_SECONDS = 120  # what is done for an answer after max_seconds may take no longer


class ReplCall(Call):
    """A call whose model works in a REPL, turn by turn, until an output satisfies the signature.

    Its session opens when the first cell is to run. When turns, time or money run out, one last
    request asks for the answer; for the root the money for it was held back.
    """

    route = "repl"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._failures = 0
        self._submission = Submission(self)
        self._cells = Cells(self, self._submission, ReplCall)
        self._transcript = Transcript(self)

    @property
    def _limits(self) -> Limits:
        return self.run.limits

    async def _answer(self) -> Output:
        async with self._cells:
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
        left = self.run.budget.seconds_left if self.is_root else None
        try:
            async with asyncio.timeout(left) as clock:
                return await self._turns_in_time()
        except TimeoutError:
            cap = self._limits.max_seconds
            if cap is None or not clock.expired():
                raise
            spent = round(self.run.budget.seconds, 3)
            raise BudgetExceeded("max_seconds", spent, cap) from None

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
            action = parse(reply.text, outputs=self.output_names)
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
            output = self._submission.final(action.value)
        except ValidationFailed as error:
            self._failures += 1
            self._transcript.say("observation", prompt.refusal(error.problems))
            return None
        self.ended_by = "final"
        return output

    # Cells ------------------------------------------------------------------------------------

    async def _execute(self, action: Exec, reply: Reply) -> Output | None:
        self._cells.cell_number += 1
        check = guard.check(action.code)
        problem = f"{check.syntax}\n{self._cut_off(reply)}".rstrip() if check.syntax else None
        self.run.trace.emit(
            events.CodeChecked,
            self.id,
            turn=self.iterations,
            cell=self._cells.cell_number,
            problem=problem,
            warnings=check.warnings,
        )
        offers = self._submission
        offers.problems = []
        execution = Execution()
        if problem is None:
            execution = await self._cells.execute(action.code, self.iterations)
        if offers.defect is not None:  # of a validator: no model can mend it
            raise offers.defect
        if offers.accepted is not None:
            self.ended_by = "submitted"
            return offers.accepted
        failed = problem is not None or not execution.ok or bool(offers.problems)
        self._failures = self._failures + 1 if failed else 0
        self._observe(action, execution, check.warnings, problem)
        return None

    def _observe(
        self, action: Exec, execution: Execution, warnings: tuple[str, ...], problem: str | None
    ) -> None:
        shown = prompt.shown_chars(self._limits.max_output_chars, self._transcript.fill)
        told = prompt.observation(
            execution,
            cell=self._cells.cell_number,
            max_chars=shown,
            warnings=warnings,
            skipped=action.skipped,
            problems=self._submission.problems,
            syntax_problem=problem,
        )
        self._transcript.say("observation", told)
        error = execution.error
        self._cells.turns.append(
            {
                "turn": self.iterations,
                "code": action.code,
                "output": execution.stdout,
                "value": execution.value,
                "error": problem or (f"{error.type}: {error.message}" if error else None),
            }
        )

    # The end ----------------------------------------------------------------------------------

    async def _stopped(self, stop: BudgetExceeded | NoProgress) -> Output:
        """Ask once more for the answer, where the run wants that, or give up."""
        if self._submission.accepted is not None:  # its cell still ran when the time was up
            self.ended_by = "submitted"
            return self._submission.accepted
        self.ended_by = self.ended_by or getattr(stop, "limit", "no_progress")
        if isinstance(stop, BudgetExceeded):
            self.run.trace.emit(
                events.LimitReached, self.id, limit=stop.limit, used=stop.used, cap=stop.cap
            )
        if self.is_root and self._limits.on_exceeded != "finalize":
            raise stop
        self.forced = True
        out_of_time = self.ended_by == "max_seconds"
        try:
            async with asyncio.timeout(_LAST_SECONDS if out_of_time else None):
                reply = await self._transcript.ask_last(str(stop))
                return await self._last_action(reply, stop)
        except (BudgetExceeded, TimeoutError):
            raise stop from None

    async def _last_action(self, reply: Reply, stop: RunError) -> Output:
        why = self.ended_by
        try:
            action: Exec | Final = parse(reply.text, outputs=self.output_names)
        except ParseError:
            words = spoken(reply.text).strip()
            half = reply.finish == "length" and words.count("```") % 2 == 1
            if half or not words or not self._takes_prose:
                raise stop from None
            action = Final(words)
        if isinstance(action, Final):
            return self._submission.final(action.value)
        output = await self._execute(action, reply)
        self.ended_by = why
        if output is None:
            problems = self._submission.problems
            raise ValidationFailed(problems) if problems else stop
        return output

    @property
    def _takes_prose(self) -> bool:
        """Whether plain words are an answer: there is one output, and it is a text."""
        return [field.annotation for field in self.signature.outputs] == [str]

    def _kept(self, error: RunError) -> dict[str, Any] | None:
        """Keep an output of the right types that a validator refused, where a person reviews it."""
        review = self.is_root and self._limits.on_exceeded == "needs_review"
        if self._submission.offered is None or not (review and isinstance(error, BudgetExceeded)):
            return None
        return self.signature.dump(self._submission.offered)

    def _summary(self) -> str:
        return f"{self.iterations} turns, {self._children} sub-calls, ended by {self.ended_by}"


def tool_fact(tool: Tool) -> events.ToolFact:
    """Return a tool as the trace and the prompt tell of it."""
    return events.ToolFact(
        name=tool.name,
        category=tool.category,
        signature=tool.signature,
        description=tool.description,
        arguments=dict(tool.schema),
    )
