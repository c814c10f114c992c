"""What a loopback server answers: the JSON format of a script, and the choice of a reply."""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rlm.errors import ConfigurationError
from rlm.lm.base import Message
from rlm.usage import Usage

__all__ = ["Answer", "Fault", "Script", "ServerReply", "ServerRequest", "compiled"]

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


class _Entry(BaseModel):
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
    def _one_answer(self) -> _Entry:
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

    replies: list[_Entry] = []
    default: _Entry | None = None
    faults: _RandomFaults | None = None
    delay: float = Field(0.0, ge=0)
    models: list[str] = []
    prices: dict[str, tuple[float, float]] = {}


Answer = Callable[[ServerRequest], "ServerReply | str | Awaitable[ServerReply | str]"]


class _Table:
    """The choice of a reply: a matching entry with conditions, the next without, the default."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._left = [entry.times for entry in script.replies]
        self._rules = [n for n, entry in enumerate(script.replies) if entry.when is not None]
        self._queue = deque(n for n, entry in enumerate(script.replies) if entry.when is None)

    def __call__(self, request: ServerRequest) -> ServerReply:
        script = self._script
        fault = script.faults.draw(request.number) if script.faults else None
        if fault is not None:
            return ServerReply(delay=script.delay, fault=fault)
        entry, groups = self._choose(request)
        if entry is None:
            return ServerReply(fault=Fault(kind="status", status=400, body=_exhausted(request)))
        return entry.answer(request, groups, script.delay)

    def _choose(self, request: ServerRequest) -> tuple[_Entry | None, Sequence[str]]:
        for n in self._rules:
            when = self._script.replies[n].when
            groups = when.match(request) if when is not None and self._left[n] > 0 else None
            if groups is not None:
                self._left[n] -= 1
                return self._script.replies[n], groups
        while self._queue and self._left[self._queue[0]] <= 0:
            self._queue.popleft()
        if self._queue:
            self._left[self._queue[0]] -= 1
            return self._script.replies[self._queue[0]], ()
        return self._script.default, ()


def _exhausted(request: ServerRequest) -> dict[str, Any]:
    message = (
        f"the script of this test server has no reply for request {request.number} "
        f"(last message: {request.prompt[-200:]!r})"
    )
    return {"error": {"message": message, "type": "script_exhausted", "code": 400}}


def compiled(source: Any) -> tuple[Script, Answer]:
    """Return the script of a source, and the function that answers by it.

    A source is a Script, its JSON form (an object, or a list of replies), the path of a JSON file
    (a Path, or a string that ends in `.json`), any other string as the reply to everything, or a
    function of the request. Raises ConfigurationError for anything else.
    """
    if callable(source):
        return Script(), source
    script = source if isinstance(source, Script) else _validated(_loaded(source))
    return script, _Table(script)


def _loaded(source: Any) -> Any:
    if isinstance(source, str) and not source.endswith(".json"):
        return {"default": {"reply": source, "repeat": True}}
    if isinstance(source, str | Path):
        try:
            return json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read the script {str(source)!r}: {error}") from error
    return source


def _validated(value: Any) -> Script:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = {"replies": list(value)}
    try:
        return Script.model_validate(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'script'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"the server's script is not valid: {problems}") from None
