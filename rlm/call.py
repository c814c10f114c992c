"""One node of the recursion tree: its identity, its start and its one ending."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

from rlm import events
from rlm.asking import Answer
from rlm.errors import Aborted, RunError, told
from rlm.prompt import describe
from rlm.roster import RosterModel
from rlm.run import Run
from rlm.signature import Output, Signature

__all__ = ["Call", "Outcome", "error_fact"]

Route = Literal["repl", "completion"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to. `cost` includes its children; `None` when a price is unknown."""

    output: Output
    iterations: int
    forced: bool
    ended_by: str
    cost: Decimal | None
    route: Route
    summary: str = ""


class Call(ABC):
    """One node of the recursion tree: signature and inputs become outputs.

    `answer` gives the Outcome or raises a RunError; either way, and when it is cancelled, the
    trace has one `call_started` and one ending. `task` is the question in words.
    """

    route: ClassVar[Route]

    def __init__(
        self,
        run: Run,
        id: str,
        *,
        signature: Signature,
        task: str,
        inputs: Mapping[str, Any],
        model: RosterModel,
        parent: Call | None = None,
        cell: int | None = None,
        sample: int = 0,
    ) -> None:
        self.run = run
        self.id = id
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.signature = signature
        self.task = task
        self.inputs = inputs
        self.model = model
        self.cell = cell
        self.sample = sample
        self.iterations = 0
        self.forced = False
        self.ended_by = ""
        self._children = 0
        self._cost: Decimal | None = Decimal(0)

    @property
    def is_root(self) -> bool:
        """Whether this is the root of the tree."""
        return self.parent is None

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the output fields."""
        return tuple(field.name for field in self.signature.outputs)

    @abstractmethod
    async def _answer(self) -> Output:
        """Do what this kind of call does."""

    def next_child_id(self) -> str:
        """Name the next child."""
        self._children += 1
        return f"{self.id}.{self._children}"

    def paid(self, cost: Decimal | None) -> None:
        """Count what a request of this call or a child of it cost."""
        self._cost = None if self._cost is None or cost is None else self._cost + cost

    def heard(self, answer: Answer) -> None:
        """Count an answer of the model."""
        self.paid(answer.cost)

    async def answer(self) -> Outcome:
        """Run this call to its end."""
        self._start()
        try:
            output = await self._answer()
        except RunError as error:
            self._fail(error)
            raise
        except asyncio.CancelledError:
            self._fail(Aborted("the call was cancelled"), ended_by="cancelled")
            raise
        except BaseException as error:
            self._fail(RunError(f"{type(error).__name__}: {error}"), ended_by="fault")
            raise
        finally:
            if self.parent is not None:
                self.parent.paid(self._cost)
        self._finish(output)
        return Outcome(
            output=output,
            iterations=self.iterations,
            forced=self.forced,
            ended_by=self.ended_by,
            cost=self._cost,
            route=self.route,
            summary=self._summary(),
        )

    def _finish(self, output: Output) -> None:
        self.run.trace.emit(
            events.CallFinished,
            self.id,
            output=self.signature.dump(output),
            iterations=self.iterations,
            forced=self.forced,
            ended_by=self.ended_by,
        )

    def _summary(self) -> str:
        return ""

    def _start(self) -> None:
        self.run.trace.emit(
            events.CallStarted,
            self.id,
            parent=self.parent.id if self.parent else "",
            route=self.route,
            model=self.model.name,
            depth=self.depth,
            cell=self.cell,
            sample=self.sample,
            **self._contract(),
        )

    def _contract(self) -> dict[str, Any]:
        """What the start tells of the task; a plain completion's task is its one message."""
        return {
            "task": self.task,
            "signature": self.signature.to_json(),
            "inputs": self.facts,
        }

    @cached_property
    def facts(self) -> tuple[events.InputFact, ...]:
        """The inputs, described."""
        return tuple(describe(name, value) for name, value in self.inputs.items())

    def _fail(self, error: RunError, ended_by: str = "") -> None:
        self.ended_by = ended_by or self.ended_by or type(error).__name__
        self.run.trace.emit(
            events.CallFailed,
            self.id,
            error=error_fact(error),
            iterations=self.iterations,
            ended_by=self.ended_by,
            submitted=self._kept(error),
        )

    def _kept(self, error: RunError) -> dict[str, Any] | None:
        """What was submitted before the failure and is worth a person's look."""
        return None


def error_fact(error: BaseException) -> events.ErrorFact:
    """Return an error as the trace tells of it."""
    return events.ErrorFact(**told(error))
