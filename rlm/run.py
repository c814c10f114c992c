"""What all calls of one recursion tree share, and the one door to the models."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rlm import events, tokens
from rlm.asking import Answer, Asked, Attempts, Purpose, Ranges
from rlm.budget import Ask, Budget, Hold
from rlm.cache import Cache, reply_key
from rlm.errors import ProviderError
from rlm.limits import Limits
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.lm.resilient import Retries, ask
from rlm.roster import Roster, RosterModel
from rlm.sandbox.base import RUN, CellLimits, Place, Sandbox
from rlm.signature import Signature
from rlm.slots import Slots
from rlm.tools.base import Tool
from rlm.trace import Trace

__all__ = ["Run", "RunConfig", "open_run"]


@dataclass(frozen=True)
class RunConfig:
    """Everything that was decided before a run starts, with names already resolved."""

    signature: Signature
    task: str
    inputs: Mapping[str, Any]
    roster: Roster
    sandbox: Sandbox
    limits: Limits
    tools: tuple[Tool, ...] = ()
    validators: tuple[Callable[..., Any], ...] = ()
    dialect: Literal["fence", "json", "tags"] = "fence"
    seed: int = 0
    retries: Retries = field(default_factory=Retries)
    stream: bool = False
    store_inputs: bool = True
    tags: tuple[str, ...] = ()


class Run:
    """What all calls of one tree share: models, sandbox, limits, budget, cache, trace, slots.

    `complete` is the only way to a model. The place of the sandbox starts in the background and
    is waited for when the first cell is to run.
    """

    def __init__(self, config: RunConfig, trace: Trace) -> None:
        self.config = config
        self.trace = trace
        self.limits = config.limits
        self.roster = config.roster
        self.budget = Budget(config.limits)
        self.cache = Cache()
        self._slots = Slots(config.limits.max_concurrency)
        self._patience: dict[float | None, Retries] = {}
        self._asks = itertools.count(1)
        self._bridges = itertools.count(1)
        self._starting: asyncio.Task[Place] | None = None

    async def place(self) -> Place:
        """Return the run's place in the sandbox, once it has started."""
        if self._starting is None:
            raise RuntimeError("the run is not open")
        return await asyncio.shield(self._starting)

    def begin(self, start: asyncio.Task[Place]) -> None:
        """Take the task that starts the place."""
        self._starting = start

    def next_bridge(self) -> int:
        """Number a call over the Bridge."""
        return next(self._bridges)

    # The door to the models -------------------------------------------------------------------

    async def complete(
        self,
        call: str,
        model: RosterModel,
        request: Request,
        *,
        purpose: Purpose,
        ranges: Ranges,
        bound: int,
        notice: str = "",
        last: bool = False,
    ) -> Answer:
        """Ask a model and return its answer: cache, slot, hold, model with retries, settlement.

        `bound` is an upper bound of the request's input tokens. Replies to queries are shared
        among equal requests of the run. Raises BudgetExceeded and the errors of providers.
        """
        asked = Asked(
            self.trace,
            lambda: self.budget.seconds,
            call,
            model,
            request,
            purpose,
            ranges,
            notice,
            last,
        )
        if purpose != "query":
            return await self._send(asked, bound)
        asked.key = reply_key(model.name, request)
        answers: list[Answer] = []

        async def send() -> Reply:
            answers.append(await self._send(asked, bound))
            return answers[0].reply

        reply, _ = await self.cache.get(asked.key, send)
        return answers[0] if answers else asked.from_cache(reply, next(self._asks))

    async def _send(self, asked: Asked, bound: int) -> Answer:
        async with self._slots:
            hold = await self._hold(asked, bound)
            try:
                return await self._attempt(asked, hold)
            finally:
                hold.release()

    async def _hold(self, asked: Asked, bound: int) -> Hold:
        model, cap = asked.model, asked.request.max_output_tokens
        want = Ask(model.name, bound, cap, model.price)
        if self._is_dear(want):
            exact = await tokens.acount_messages(asked.request.messages, model.name)
            if exact is not None and exact < bound:
                want = replace(want, input_tokens=exact)
        return await self.budget.hold(want, last=asked.last)

    def _is_dear(self, want: Ask) -> bool:
        """Whether its input takes so much of a limit that an exact count of tokens is worth it."""
        limits, share = self.limits, 20
        money = limits.max_cost_usd is not None and want.cost(0) * share > limits.max_cost_usd
        return money or (
            limits.max_tokens is not None and want.tokens(0) * share > limits.max_tokens
        )

    async def _attempt(self, asked: Asked, hold: Hold) -> Answer:
        request = asked.request
        if hold.output_tokens != request.max_output_tokens:
            request = replace(request, max_output_tokens=hold.output_tokens)
        asked.emit_asked(next(self._asks), hold)
        attempts = Attempts(asked, hold)
        try:
            reply = await ask(
                asked.model.lms,
                request,
                retries=self._retries(asked.model),
                observer=attempts,
                on_delta=self._deltas(asked),
            )
        except ProviderError as error:
            attempts.emit_lost(error)
            raise
        except BaseException as error:  # cancelled, or out of money for another attempt
            attempts.emit_broken(error)
            raise
        return attempts.replied(reply)

    def _clock(self) -> float:
        return self.budget.seconds

    def _retries(self, model: RosterModel) -> Retries:
        found = self._patience.get(model.timeout)
        if found is None:
            found = replace(self.config.retries, timeout=model.timeout)
            self._patience[model.timeout] = found
        return found

    def _deltas(self, asked: Asked) -> OnDelta | None:
        if not (self.config.stream and asked.call == "0" and self.trace.watched):
            return None

        def show(delta: Delta) -> None:
            self.trace.show(events.Delta(asked.call, delta.kind, delta.text))

        return show


@asynccontextmanager
async def open_run(config: RunConfig, trace: Trace) -> AsyncIterator[Run]:
    """Open a run: its place starts in the background, and everything is released at the end."""
    run = Run(config, trace)
    limits = CellLimits(
        seconds=config.limits.cell_seconds,
        memory_mb=config.limits.memory_mb,
        output_bytes=config.limits.max_stdout_bytes,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(config.roster.aclose)
        token = RUN.set(trace.run)  # what is started knows whose it is: a task keeps its context
        starting = asyncio.create_task(
            stack.enter_async_context(config.sandbox.start(config.inputs, limits))
        )
        RUN.reset(token)
        run.begin(starting)
        stack.push_async_callback(_settle, [starting])
        await asyncio.sleep(0)  # it starts now: what comes next may be busy for long, importing
        yield run


async def _settle(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for tasks whose outcome nobody has asked for, cancelling those that still run."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
