"""A call that answers by one plain completion, untyped or typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rlm import events, prompt, tokens
from rlm.call import Call
from rlm.errors import ContextWindowExceeded, ReplyCutOff, ValidationFailed
from rlm.files import File, parts
from rlm.lm.base import Message, Reply
from rlm.reply.loose_json import read_object
from rlm.reply.objects import final_value
from rlm.reply.thinking import spoken
from rlm.roster import RosterModel
from rlm.signature import Output, Signature

__all__ = ["TEXT", "CompletionCall", "check_room", "check_size"]

TEXT = Signature.parse("prompt -> answer: str")
"""The contract of an untyped sub-call."""

_TRIES = 2  # a typed reply that is not valid is asked for once more


class CompletionCall(Call):
    """A call whose answer is one reply of a model.

    `typed` says whether the reply must be JSON that satisfies the signature: one that does not is
    sent back once with the reasons. Raises ContextWindowExceeded before anything is sent.
    """

    route = "completion"

    def __init__(
        self, *args: Any, messages: tuple[Message, ...], typed: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._messages = list(messages)
        self._typed = typed

    def _contract(self) -> dict[str, Any]:
        if not self._typed:
            return {}
        return {"task": self.task, "signature": self.signature.to_json()}

    async def _answer(self) -> Output:
        self.ended_by = "replied"
        given, self._messages = self._messages, []
        for message in given:
            self._add(message, "prompt")
        if not self._typed:
            return self.signature.coerce((await self._ask()).text)
        for _ in range(_TRIES - 1):
            reply = await self._ask()
            try:
                return self._read(reply)
            except ValidationFailed as error:
                self._add(Message("assistant", reply.text), "reply")
                self._add(Message("user", prompt.refusal(error.problems)), "repair")
        return self._read(await self._ask())

    def _read(self, reply: Reply) -> Output:
        names = [field.name for field in self.signature.outputs]
        value = final_value(reply.text, names)
        if isinstance(value, str) and (start := value.find("{")) >= 0:
            found = read_object(value, start)  # words around the object do no harm
            value = found[0] if found and names[0] in found[0] else value
        if isinstance(value, dict) and value.keys() >= set(names):
            value = {name: value[name] for name in names}  # what a model adds does no harm
        return self.signature.coerce(value)

    async def _ask(self) -> Reply:
        self.iterations += 1
        messages = tuple(self._messages)
        request = self.model.request(
            messages, self.run.limits.max_output_tokens, sample=self.sample
        )
        if self._typed:
            request = replace(request, schema=self.signature.json_schema())
        bound = await check_room(messages, self.model, request.max_output_tokens)
        answer = await self.run.complete(
            self.id,
            self.model,
            request,
            purpose="query",
            ranges=((0, len(messages)),),
            bound=bound,
        )
        self.heard(answer)
        if answer.reply.finish == "length":
            raise ReplyCutOff(
                f"{self.model.name}: the reply was cut off at its cap of output tokens; ask for "
                "less, or in smaller pieces",
                model=self.model.name,
            )
        return self._without_thinking(answer.reply)

    def _without_thinking(self, reply: Reply) -> Reply:
        said = spoken(reply.text)
        if said == reply.text:
            return reply
        if not said:
            raise ReplyCutOff(
                f"{self.model.name}: the reply holds only thinking and no answer",
                model=self.model.name,
            )
        return replace(reply, text=said)

    def _add(self, message: Message, about: str) -> None:
        fact = self.run.trace.emit(
            events.MessageAdded,
            self.id,
            index=len(self._messages),
            role=message.role,
            about=about,
            content=message.content,
        )
        # The recorded text, for a secret that was taken out of it must not be sent either.
        self._messages.append(Message(message.role, fact.content or ""))


async def check_room(messages: tuple[Message, ...], model: RosterModel, cap: int) -> int:
    """Return an upper bound of the tokens of messages.

    Raises ContextWindowExceeded when they leave no room for a reply of `cap` tokens.
    """
    room = _room(model, cap)
    length = sum(len(message.content) for message in messages)
    if length > room * _MOST_CHARS_A_TOKEN:  # it would be counted for seconds, to be refused
        raise _too_long(length // 4, room, model)
    bound = tokens.bound_messages(messages)
    if bound <= room:
        return bound
    counted = await tokens.acount_messages(messages, model.name)
    count = tokens.estimate_messages(messages) if counted is None else counted
    if count > room:
        raise _too_long(count, room, model)
    return bound if counted is None else min(bound, counted)


def check_size(inputs: Mapping[str, Any], model: RosterModel) -> None:
    """Raise ContextWindowExceeded for inputs that no tokenizer could fit into the window.

    It looks at lengths alone, so that a gigabyte is not written into a prompt to be refused.
    """
    length = sum(_length(value) for value in inputs.values())
    if length > model.window * _MOST_CHARS_A_TOKEN:
        raise _too_long(length // 4, model.window, model)


_MOST_CHARS_A_TOKEN = 20  # text that repeats itself can be as dense as that


def _length(value: Any) -> int:
    if isinstance(value, File):
        return value.size
    if isinstance(value, (str, bytes)):
        return len(value)
    if value is None or isinstance(value, (int, float)):
        return 0
    return sum(_length(item) for _, _, item in parts(value))


def _room(model: RosterModel, cap: int) -> int:
    return model.window - min(cap, model.window // 2)


def _too_long(count: int, room: int, model: RosterModel) -> ContextWindowExceeded:
    return ContextWindowExceeded(
        f"the request has about {count:,} tokens and {model.name} has room for {room:,} beside "
        f"its reply (window {model.window:,}): ask about smaller pieces, or pass the text as "
        "context=… so that a call of its own reads it",
        model=model.name,
        tokens=count,
        window=model.window,
        may_be_billed=False,
    )
