"""The JSON format of a loopback server's script: replies, their conditions, faults."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rlm.lm.base import Message
from rlm.usage import Usage

__all__ = ["Entry", "Fault", "Script", "ServerReply", "ServerRequest"]

Kind = Literal[
    "status",
    "reset",
    "stall",
    "malformed",
    "cut",
    "stream_error",
    "empty",
    "blocked",
    "cut_off_thinking",
]


class Fault(BaseModel):
    """What goes wrong instead of an answer; docs/testing.md says what each kind sends and bills.

    In a script it is written as its kind (`"reset"`), or as an object: `{"status": 429,
    "retry_after": 1, "body": …}`, `{"kind": "stall", "seconds": 2}`. `seconds` is how long a
    stall lasts before the connection is reset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    status: int = Field(500, ge=400, le=599)
    retry_after: float | None = Field(None, ge=0)
    body: Any = None
    seconds: float = Field(30.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, dict) and "status" in value:
            return {"kind": "status", **value}
        return value


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A request as the server got it, with what both APIs have in common brought to one form.

    `number` counts from 1 in the order of arrival; `at` is in seconds since the epoch; keys are
    struck out of `path` and `headers`.
    """

    number: int
    api: Literal["openai", "gemini"]
    path: str
    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int | None
    stop: tuple[str, ...]
    stream: bool
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    at: float

    @property
    def prompt(self) -> str:
        """The last message of the user."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class ServerReply:
    """What the server answers: text after `delay` seconds, or a fault.

    `usage` replaces the server's own count; `False` leaves it out of the answer (it is billed all
    the same). `pause` is the time between the pieces of a stream, in seconds.
    """

    text: str = ""
    reasoning: str = ""
    usage: Usage | Literal[False] | None = None
    delay: float = 0.0
    pause: float = 0.0
    model: str = ""
    fault: Fault | None = None


class _When(BaseModel):
    """The conditions of a reply; all that are given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contains: str | None = None
    last_contains: str | None = None
    regex: str | None = None
    last_regex: str | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _compile(self) -> _When:
        for pattern in (self.regex, self.last_regex):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return self

    def match(self, request: ServerRequest) -> tuple[str, ...] | None:
        """Return the groups of the regular expression (perhaps none), or None."""
        texts = [message.content for message in request.messages]
        last = texts[-1:] or [""]
        if self.model is not None and self.model != request.model:
            return None
        if self.contains is not None and not any(self.contains in text for text in texts):
            return None
        if self.last_contains is not None and self.last_contains not in last[0]:
            return None
        groups: tuple[str, ...] = ()
        for pattern, where in ((self.regex, texts), (self.last_regex, last)):
            if pattern is not None:
                found = next(filter(None, (re.search(pattern, text) for text in where)), None)
                if found is None:
                    return None
                groups += tuple(group or "" for group in found.groups())
        return groups


class Entry(BaseModel):
    """One scripted reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: _When | None = None
    reply: Any = None
    template: str | None = None
    reasoning: str = ""
    usage: Usage | Literal[False] | None = None
    delay: float | None = Field(None, ge=0)
    pause: float = Field(0.0, ge=0)
    model: str = ""
    fault: Fault | None = None
    repeat: int | Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"reply": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_answer(self) -> Entry:
        if self.reply is not None and self.template is not None:
            raise ValueError("give 'reply' or 'template', not both")
        if self.reply is None and self.template is None and self.fault is None:
            raise ValueError("give a 'reply', a 'template' or a 'fault'")
        return self

    @property
    def times(self) -> float:
        """How often this entry answers: once, or without end for one that has conditions."""
        if self.repeat is True or (self.repeat is None and self.when is not None):
            return float("inf")
        return 1 if self.repeat is None else self.repeat

    def answer(self, request: ServerRequest, groups: Sequence[str], delay: float) -> ServerReply:
        """Return the reply that this entry gives to the request."""
        if self.template is not None:
            text = _filled(self.template, request, groups)
        elif self.reply is None or isinstance(self.reply, str):
            text = self.reply or ""
        else:
            text = json.dumps(self.reply, ensure_ascii=False)
        wait = delay if self.delay is None else self.delay
        return ServerReply(
            text, self.reasoning, self.usage, wait, self.pause, self.model, self.fault
        )


def _filled(template: str, request: ServerRequest, groups: Sequence[str]) -> str:
    values = {
        "echo": request.prompt,
        "model": request.model,
        "number": str(request.number),
        **{str(index): group for index, group in enumerate(groups, 1)},
    }
    return re.sub(r"\{(\w+)\}", lambda hole: values.get(hole[1], hole[0]), template)


class _RandomFaults(BaseModel):
    """Faults for a share of the requests; which ones depends on the seed and the number alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(ge=0, le=1)
    seed: int = 0
    kinds: list[Fault] = Field(min_length=1)

    def draw(self, number: int) -> Fault | None:
        dice = random.Random(f"{self.seed}:{number}")
        return dice.choice(self.kinds) if dice.random() < self.rate else None


class Script(BaseModel):
    """A whole script, as docs/testing.md describes it; prices are dollars a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replies: list[Entry] = []
    default: Entry | None = None
    faults: _RandomFaults | None = None
    delay: float = Field(0.0, ge=0)
    models: list[str] = []
    prices: dict[str, tuple[float, float]] = {}
