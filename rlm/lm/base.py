"""The port to models: a request goes in, a reply comes out, anything else is a named error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlm.errors import ConfigurationError
from rlm.usage import Price, Usage

__all__ = ["LM", "Delta", "Finish", "Message", "Model", "OnDelta", "Reply", "Request", "Role"]

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a transcript."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked: a transcript and the parameters that decide the reply.

    `max_output_tokens` is always sent, for it is what the budget reserves. `schema` is a JSON
    schema for the reply, `json_mode` asks for any JSON object; an adapter whose provider has
    neither ignores them. `sample` separates replies that are wanted more than once; no provider
    sees it. `stable_messages` is how many leading messages will be sent again unchanged with the
    next request, for providers whose prompt cache must be told.
    """

    messages: tuple[Message, ...]
    max_output_tokens: int = 8192
    temperature: float | None = None
    thinking: Literal["low", "medium", "high"] | None = None
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    json_mode: bool = False
    sample: int = 0
    stable_messages: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The last message of the user, for models that are plain functions."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered: text, the reasoning it shows, and what it used.

    `usage` is `None` when the provider did not say; the budget then keeps its estimate. `model`
    is the name that the provider gave itself. A reply that was blocked, cut off while thinking
    or broken half-way is never a Reply but an error; `finish` is `"length"` when visible text
    was cut off by the output cap.
    """

    text: str
    reasoning: str = ""
    usage: Usage | None = None
    model: str = ""
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply while it streams; live only, never logged."""

    kind: Literal["text", "reasoning"]
    text: str


OnDelta = Callable[[Delta], None]


@runtime_checkable
class LM(Protocol):
    """Something that completes a request: it translates and classifies, nothing else.

    An adapter does not retry, cache, count or log. It raises the errors under ProviderError,
    with `retryable` and `retry_after` set as the provider meant it. One adapter serves a whole
    run, from many tasks at the same time, on one loop; `aclose` releases its connections and may
    be followed by new requests, perhaps on another loop.

    One that no price table knows may say what it costs and how much it reads, by the attributes
    `price` (a Price) and `window` (tokens); without them both are unknown.
    """

    @property
    def name(self) -> str:
        """The full name, as in `"openai/gpt-5-mini"`: how a price is looked up."""
        ...

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer the request, streaming pieces to `on_delta` when one is given."""
        ...

    async def aclose(self) -> None:
        """Release what the adapter holds."""
        ...


class Model(BaseModel):
    """A model by name, with how it is asked.

    `name` is what `resolve` understands (`"gemini/gemini-3-pro"`, `"openai/gpt-5-mini"`, any name
    that litellm knows); `base_url` points an `openai/…` name at another compatible server.
    `price` and `window` (tokens) replace what the price table says. Raises ConfigurationError for
    an unknown option or an impossible value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base_url: str | None = None
    api_key: str | None = None
    temperature: float | None = Field(None, ge=0)
    thinking: Literal["low", "medium", "high"] | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    timeout: float | None = Field(None, gt=0)
    """Seconds that one request may take in all; 600 when not given."""
    price: Price | None = None
    window: int | None = Field(None, ge=1)
    extra: dict[str, Any] = {}
    """Further parameters of the provider, sent as they are."""

    def __init__(self, name: str, **options: Any) -> None:
        try:
            super().__init__(name=name, **options)
        except ValidationError as error:  # without the values: one of them is a key
            told = "; ".join(f"{p['loc'][0]}: {p['msg']}" for p in error.errors())
            known = ", ".join(type(self).model_fields)
            raise ConfigurationError(f"Model({name!r}): {told} (it takes {known})") from None

    def __repr_args__(self) -> Any:
        for key, value in super().__repr_args__():
            yield key, ("…" if key == "api_key" and value else value)


LMFunction = Callable[[Request], "str | Reply | Awaitable[str | Reply]"]
"""The plainest model of all: a function of the request, sync or async."""
