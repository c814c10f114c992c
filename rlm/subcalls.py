"""How a request of a cell becomes a child: which model, which route, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from rlm import prompt
from rlm.call import Call, Outcome
from rlm.errors import (
    BudgetExceeded,
    ConfigurationError,
    ContextWindowExceeded,
    ProviderError,
    RLMError,
    ToolError,
    told,
)
from rlm.leaf import TEXT, CompletionCall, check_room, check_size
from rlm.lm.base import Message
from rlm.roster import RosterModel
from rlm.signature import Signature

__all__ = ["MOST_ITEMS", "SubCalls"]

Told = dict[str, Any]
"""What a cell gets of a sub-call: the fields of an Episode, or of a Failure."""

Written = Callable[[], tuple[Message, ...]]
"""Writes the messages of a completion, which may be long: only when they are wanted."""


MOST_ITEMS = 100_000
"""Sub-calls that a cell may ask for at once."""


class _How(NamedTuple):
    """How a cell wants a sub-call made, and which cell it was."""

    model: str | None
    sample: int
    recursive: bool | None
    cell: int | None


class SubCalls:
    """The sub-calls of one call.

    A sub-call whose context fits the model's window is one completion; one that does not is a
    call with a session of its own, as far as the depth allows. `recursive` decides it by hand.
    `make_repl` makes a call of that kind.
    """

    def __init__(self, parent: Call, make_repl: Callable[..., Call]) -> None:
        self._parent = parent
        self._make_repl = make_repl

    async def query(
        self,
        text: str,
        *,
        model: str | None = None,
        context: Any = None,
        output: str | None = None,
        sample: int = 0,
        recursive: bool | None = None,
        cell: int | None = None,
    ) -> Told:
        """Ask in words; `output` names a type for the answer."""
        if not isinstance(text, str):
            raise ToolError(f"llm_query takes a text, not {type(text).__name__}")
        how = _How(model, sample, recursive, cell)
        inputs = {} if context is None else {"context": context}
        if output is not None:
            return await self._typed(_asking_for(output, text, context), inputs, how)
        child = await self._child(
            TEXT if context is None else _READ,
            inputs,
            how,
            lambda: prompt.query(text, context),
            task=text,
            typed=False,
        )
        return _episode(await child.answer())

    async def predict(
        self,
        signature: str,
        inputs: Mapping[str, Any],
        *,
        model: str | None = None,
        instructions: str | None = None,
        sample: int = 0,
        recursive: bool | None = None,
        cell: int | None = None,
    ) -> Told:
        """Ask by a signature."""
        if not isinstance(signature, str):
            raise ToolError(f"a signature is a text here, not {type(signature).__name__}")
        try:
            contract = _contract(signature, instructions or "")
            given = contract.check_inputs(inputs)
        except ConfigurationError as error:
            raise ToolError(str(error)) from None
        return await self._typed(contract, given, _How(model, sample, recursive, cell))

    async def many(
        self, items: Sequence[Any], start: Callable[[Any], Awaitable[Told]], at_once: int | None
    ) -> list[Told]:
        """Start a sub-call for each item, side by side; a failure is data in its slot, and the
        length is kept.

        At most `at_once` run at the same time, and no more than may be asked anyway. Items that
        are equal to an earlier one come last: by then the cache has their replies.
        """
        if at_once is not None and not (isinstance(at_once, int) and at_once > 0):
            raise ToolError(f"max_concurrency = {at_once!r}: give a number of at least 1")
        if len(items) > MOST_ITEMS:
            raise ToolError(f"{len(items):,} sub-calls at once: {MOST_ITEMS:,} are the most")
        outcomes: list[Told] = [{} for _ in items]
        places = iter(_repeats_last(items))

        async def work() -> None:
            for place in places:
                outcomes[place] = await _settled(start(items[place]))
                await asyncio.sleep(0)  # one that is refused has not let others run

        most = self._parent.run.limits.max_concurrency
        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(items), at_once or most, most)):
                group.create_task(work())
        return outcomes

    async def _typed(self, signature: Signature, inputs: Mapping[str, Any], how: _How) -> Told:
        child = await self._child(
            signature,
            inputs,
            how,
            lambda: prompt.typed_query(signature, inputs),
            task=signature.instructions or signature.text,
            typed=True,
        )
        return _episode(await child.answer())

    async def _child(
        self,
        signature: Signature,
        inputs: Mapping[str, Any],
        how: _How,
        write: Written,
        *,
        task: str,
        typed: bool,
    ) -> Call:
        parent, run = self._parent, self._parent.run
        level, deepest = parent.depth + 1, run.limits.max_depth
        if level > deepest or (how.recursive and level == deepest):
            raise BudgetExceeded("max_depth", level, deepest)
        if not isinstance(how.sample, int):
            raise ToolError(f"sample = {how.sample!r}: give a whole number")
        model = run.roster.get(how.model)
        write = cache(write)
        run.budget.count_sub_call()
        common: dict[str, Any] = {
            "task": task,
            "inputs": inputs,
            "model": model,
            "parent": parent,
            "cell": how.cell,
            "sample": how.sample,
        }
        if level < deepest and await self._has_session(inputs, how, write, model):
            await self._check_room((Message("user", task),), model)
            return self._make_repl(run, parent.next_child_id(), signature=signature, **common)
        check_size(inputs, model)
        messages = write()
        await self._check_room(messages, model)
        return CompletionCall(
            run,
            parent.next_child_id(),
            signature=signature if typed else TEXT,
            messages=messages,
            typed=typed,
            **common,
        )

    async def _has_session(
        self, inputs: Mapping[str, Any], how: _How, write: Written, model: RosterModel
    ) -> bool:
        """Whether it is a call with a session: by hand, or since its inputs do not fit."""
        if how.recursive is not None:
            return how.recursive
        return bool(inputs) and not await self._fits(inputs, write, model)

    async def _fits(self, inputs: Mapping[str, Any], write: Written, model: RosterModel) -> bool:
        try:
            check_size(inputs, model)
            await self._check_room(write(), model)
        except ContextWindowExceeded:
            return False
        return True

    async def _check_room(self, messages: tuple[Message, ...], model: RosterModel) -> None:
        """Refuse what is too long before there is a call: nothing of it is kept."""
        cap = model.max_output_tokens or self._parent.run.limits.max_output_tokens
        await check_room(messages, model, cap)


def _repeats_last(items: Sequence[Any]) -> list[int]:
    seen: set[Any] = set()
    first: list[int] = []
    again: list[int] = []
    for place, item in enumerate(items):
        key = tuple(item.items()) if isinstance(item, dict) else item
        try:
            (again if key in seen else first).append(place)
            seen.add(key)
        except TypeError:  # a value in it cannot be hashed: it counts as new
            first.append(place)
    return first + again


async def _settled(reply: Awaitable[Told]) -> Told:
    try:
        return await reply
    except RLMError as error:
        retryable = isinstance(error, ProviderError) and error.retryable
        about = told(error)
        return {
            "failure": {
                "type": about["type"], "message": about["message"], "retryable": retryable,
            }
        }  # fmt: skip


_READ = Signature.parse("context -> answer: str")


@lru_cache(maxsize=64)  # every row of a batch asks by the same one
def _contract(signature: str, instructions: str) -> Signature:
    contract = Signature.parse(signature)
    return contract.with_instructions(instructions) if instructions else contract


def _asking_for(output: str, text: str, context: Any) -> Signature:
    given = "" if context is None else "context"
    try:
        return Signature.parse(f"{given} -> answer: {output}").with_instructions(text)
    except ConfigurationError as error:
        raise ToolError(f"output={output!r} is not a type: {error}") from None


def _episode(outcome: Outcome) -> Told:
    """Return what the Episode is made of; what is not said is as of one plain completion."""
    fields = dict(outcome.output)
    value = next(iter(fields.values())) if len(fields) == 1 else fields
    told: Told = {"text": prompt.render(value), "fields": list(fields), "cost": outcome.cost}
    if told["text"] is not value:
        told["value"] = value
    if outcome.iterations != 1:
        told["iterations"] = outcome.iterations
    if outcome.route != "completion":
        told |= {"route": outcome.route, "forced": outcome.forced, "summary": outcome.summary}
    return told
