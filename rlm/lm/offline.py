"""The embedded models: a small deterministic program, so that everything runs without a key.

It is no language model, and says so when it is asked for more than it can do. It plays one
honestly: it knows nothing but the request, writes cells in the dialect that it was taught, reads
what they print, and is wrong when that does not hold the answer.
"""

from __future__ import annotations

from decimal import Decimal

from rlm import tokens
from rlm.errors import ConfigurationError, ContextWindowExceeded
from rlm.lm._offline_player import play
from rlm.lm._offline_reader import answer
from rlm.lm._offline_scene import is_session
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.usage import Price, Usage

__all__ = ["WINDOWS", "OfflineLM", "create"]

WINDOWS = {"offline/needle": 128_000, "offline/reader": 64_000}
"""The embedded models and their windows in tokens."""


class OfflineLM:
    """The embedded program under one of its names; asking it costs nothing.

    `offline/needle` is meant for the root, `offline/reader` for sub-calls; either does both. It
    understands five kinds of questions: what is the X (in "The X is Y."), how many times does "X"
    appear, which word follows "X" most often, the sum, list, largest … of the Xs (in "The X of Z
    is Y."), and one answer for each text of a list. Raises ContextWindowExceeded.
    """

    price = Price(input=Decimal(0), output=Decimal(0))

    def __init__(self, name: str = "offline/needle") -> None:
        self._name = name
        self.window = WINDOWS[name]

    def __repr__(self) -> str:
        return f"OfflineLM({self._name!r})"

    @property
    def name(self) -> str:
        """`offline/needle` or `offline/reader`."""
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Read the request and reply; a streamed reply comes line by line."""
        used = sum(tokens.estimate(message.content) for message in request.messages)
        if used > self.window:
            message = f"{self._name} reads {self.window:,} tokens; the request has about {used:,}"
            raise ContextWindowExceeded(
                message, tokens=used, window=self.window, model=self._name, may_be_billed=False
            )
        messages = request.messages
        text = play(messages) if is_session(messages) else answer(messages)
        if on_delta is not None:
            for line in text.splitlines(keepends=True):
                on_delta(Delta("text", line))
        usage = Usage(input_tokens=used, output_tokens=tokens.estimate(text))
        return Reply(text, usage=usage, model=self._name)

    async def aclose(self) -> None:
        """Release nothing: it holds nothing."""


def create(name: str) -> OfflineLM:
    """Return the embedded model with this name; ConfigurationError when there is none."""
    if name not in WINDOWS:
        known = ", ".join(WINDOWS)
        raise ConfigurationError(f"there is no embedded model {name!r}; the embedded are: {known}")
    return OfflineLM(name)
