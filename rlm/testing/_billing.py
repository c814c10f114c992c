"""What a loopback server counts and charges for, as a real provider would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from rlm.lm.base import Message
from rlm.testing._script import ServerReply, ServerRequest
from rlm.usage import Price, Usage

__all__ = ["Billed", "Outcome", "count_tokens", "outcome", "prompt_tokens"]

_CHARACTERS = 4  # a token, by this server's count
_FRAME = 4  # tokens that each message costs beside its text
_NO_CAP = 1 << 40

End = Literal["stop", "length", "blocked"]


def count_tokens(text: str) -> int:
    """Return the tokens of a text by the server's rule: one for four characters, rounded up."""
    return -(-len(text) // _CHARACTERS)


def prompt_tokens(messages: Sequence[Message]) -> int:
    """Return the tokens of a transcript: those of each message, and four for each message."""
    return sum(count_tokens(message.content) + _FRAME for message in messages)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is sent and billed: the reply after its stop sequences and the output cap.

    `text` is empty where the answer was blocked or spent on thinking; `show_usage` is whether
    the answer says what it used.
    """

    number: int
    model: str
    text: str
    reasoning: str
    end: End
    usage: Usage
    show_usage: bool = True


def outcome(request: ServerRequest, reply: ServerReply) -> Outcome:
    """Return what this reply comes to under the caps of the request."""
    cap = request.max_output_tokens or _NO_CAP
    kind = reply.fault.kind if reply.fault else None
    thinking = min(count_tokens(reply.reasoning), cap)
    text = _stopped(reply.text, request.stop)
    end: End = "stop"
    if count_tokens(text) > cap - thinking:
        text, end = text[: (cap - thinking) * _CHARACTERS], "length"
    if kind == "empty":
        text = ""
    elif kind == "blocked":
        end = "blocked"
    elif kind == "cut_off_thinking":
        text, end, thinking = "", "length", min(cap, max(thinking, 4096))
    usage = _capped(reply.usage, cap) or Usage(
        input_tokens=prompt_tokens(request.messages),
        output_tokens=thinking + count_tokens(text),
        reasoning_tokens=thinking,
    )
    return Outcome(
        number=request.number,
        model=reply.model or request.model,
        text="" if end == "blocked" else text,
        reasoning=reply.reasoning[: thinking * _CHARACTERS],
        end=end,
        usage=usage,
        show_usage=reply.usage is not False,
    )


def _stopped(text: str, stop: Sequence[str]) -> str:
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


def _capped(usage: Usage | Literal[False] | None, cap: int) -> Usage | None:
    """No provider bills more output than the request allows, whatever a script says."""
    if not usage:
        return None
    output = min(usage.output_tokens, cap)
    thinking = min(usage.reasoning_tokens, output)
    return usage.model_copy(update={"output_tokens": output, "reasoning_tokens": thinking})


@dataclass
class Billed:
    """What the server has charged for: requests, tokens, and dollars.

    `dollars` counts the models with a price only; `by_model` has the tokens of each model.
    """

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: Decimal = Decimal(0)
    by_model: dict[str, Usage] = field(default_factory=dict)

    def charge(self, model: str, usage: Usage, prices: Mapping[str, Price]) -> None:
        """Add one request that a provider would bill."""
        self.requests += 1
        self.usage = self.usage + usage
        self.by_model[model] = self.by_model.get(model, Usage()) + usage
        if model in prices:
            self.dollars += prices[model].cost(usage)
