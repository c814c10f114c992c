"""What a call's model has been told and has said, and how the next request is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from rlm import events, prompt, tokens
from rlm.asking import Ranges
from rlm.budget import Ask
from rlm.call import Call
from rlm.lm.base import Message, Reply

__all__ = ["Transcript"]

About = Literal["opening", "reply", "observation", "repair", "notice", "last_request", "prompt"]

_OPENING = 2  # the system message and the task are always sent
_LEFT_OUT = "(Turns before this one are left out here for want of room; `history` has them.)"


class Transcript:
    """The messages of one call, each told to the trace once.

    `fill` is the part of the model's window that the transcript takes. When it is about to
    overflow, the oldest turns are left out of the request; the REPL still has them as `history`.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._run = call.run
        self._messages: list[Message] = []
        self._bounds: list[int] = []
        self._bound = 0
        self._dialect = call.run.config.dialect

    @property
    def cap(self) -> int:
        """Tokens of one reply."""
        return self._call.model.max_output_tokens or self._run.limits.max_output_tokens

    @property
    def fill(self) -> float:
        """The part of the room for messages that is taken, from 0 to 1 and above."""
        return self._bound / _CHARS_A_TOKEN / self._room

    @property
    def _room(self) -> int:
        window = self._call.model.window
        return max(window - self.cap, window // 2)

    def open(self, opening: prompt.Opening) -> None:
        """Begin with the system message and the task."""
        for message in prompt.opening(opening):
            self._add(message, "opening")

    def say(self, about: About, text: str) -> None:
        """Tell the model something."""
        self._add(Message("user", text), about)

    async def ask(self) -> Reply:
        """Ask for the next turn."""
        if self._call.parent is None:
            self._run.budget.reserve(self._last_ask())
        return await self._ask("turn", prompt.notice(self._left()))

    async def ask_last(self, reason: str) -> Reply:
        """Ask for the answer, now: the root may use what was held back for it."""
        self.say("last_request", prompt.last_request(reason, self._call.signature, self._dialect))
        return await self._ask("last", "")

    async def _ask(self, purpose: Literal["turn", "last"], notice: str) -> Reply:
        ranges = self._ranges()
        messages = [m for start, end in ranges for m in self._messages[start:end]]
        if len(ranges) > 1:
            notice = f"{_LEFT_OUT}\n\n{notice}".strip()
        if notice:
            messages[-1] = Message(messages[-1].role, f"{messages[-1].content}\n\n{notice}")
        bound = tokens.bound(notice) + sum(sum(self._bounds[start:end]) for start, end in ranges)
        request = self._call.model.request(tuple(messages), self.cap, stable=len(messages) - 1)
        if self._dialect == "json":
            request = replace(request, json_mode=True)
        answer = await self._run.complete(
            self._call.id,
            self._call.model,
            request,
            purpose=purpose,
            ranges=ranges,
            bound=bound,
            notice=notice,
            last=purpose == "last" and self._call.parent is None,
        )
        self._call.heard(answer)
        self._add(Message("assistant", answer.reply.text), "reply", ask=answer.ask)
        return answer.reply

    def _ranges(self) -> Ranges:
        """Return which messages go into the next request: the opening and all that fit after it."""
        end = len(self._messages)
        if self._bound < self._room * _CHARS_A_TOKEN:
            return ((0, end),)
        left = self._room * _CHARS_A_TOKEN - sum(self._bounds[:_OPENING])
        start = end
        while start > _OPENING and (left := left - self._bounds[start - 1]) > 0:
            start -= 1
        if start <= _OPENING:
            return ((0, end),)
        start = min(start, end - 1)  # the newest message is always sent
        return ((0, _OPENING), (start, end))

    def _add(self, message: Message, about: About, ask: int | None = None) -> None:
        fact = self._run.trace.emit(
            events.MessageAdded,
            self._call.id,
            index=len(self._messages),
            role=message.role,
            about=about,
            **({"content": message.content} if ask is None else {"ask": ask}),
        )
        content = message.content if fact.content is None else fact.content  # as it is recorded
        self._messages.append(Message(message.role, content))
        self._bounds.append(tokens.bound(content) + tokens.MESSAGE_OVERHEAD)
        self._bound += self._bounds[-1]

    def _last_ask(self) -> Ask:
        model = self._call.model
        bound = self._bound // _CHARS_A_TOKEN + _LAST_REQUEST_TOKENS
        return Ask(model.name, bound, self.cap, model.price)

    def _left(self) -> dict[str, tuple[float, float]]:
        left = self._run.budget.left()
        turns = self._run.limits.max_iterations
        if turns is not None:
            left["max_iterations"] = (self._call.iterations - 1, turns)
        return left


_CHARS_A_TOKEN = 3  # a cautious mean; the exact count is the hold's business
_LAST_REQUEST_TOKENS = 600
