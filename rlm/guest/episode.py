"""What sub-calls give back: a reply that is a string, or a falsy failure."""

from __future__ import annotations

from typing import Any, Generator, List, Mapping

__all__ = ["Batch", "Episode", "Failure", "Text", "episode", "outcome"]


class Text(str):
    """A text whose repr is itself, so that it reads well as the last line of a cell."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


class Episode(str):
    """A reply: a string, with what is known about how it came to be.

    `value` is the typed value, `iterations` the turns it took, `forced` whether a limit forced it
    out, `summary` one line about the work, `cost` dollars or None, `sources` where it comes from,
    `route` `"completion"` or `"repl"`. The fields of a typed value are attributes too.
    """

    value: Any
    iterations: int
    forced: bool
    summary: str
    cost: Any
    sources: List[Any]
    route: str
    _fields: List[str]

    @property
    def forced_final(self) -> bool:
        """The same as `forced`."""
        return self.forced

    @property
    def episode(self) -> str:
        """The same as `summary`."""
        return self.summary

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__.get("value")
        if self.__dict__.get("_fields") == [name]:
            return value
        if isinstance(value, Mapping) and name in value:
            return value[name]
        raise AttributeError(f"this reply has no {name!r}; its value is {value!r:.200}")

    def __await__(self) -> Generator[Any, None, Episode]:
        yield from ()
        return self


class Failure:
    """A sub-call of a batch that failed: falsy, in the place of its reply.

    `error` is the name of the error's class, `message` says what happened, `retryable` whether
    the same call may succeed later.
    """

    def __init__(self, error: str, message: str, retryable: bool = False) -> None:
        self.error = error
        self.message = message
        self.retryable = retryable

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"

    def __repr__(self) -> str:
        return f"Failure({self.error!r}, {self.message!r}, retryable={self.retryable})"


class Batch(List[Any]):
    """The replies of a batch, in the order of its prompts; a failed one is a Failure."""

    @property
    def failures(self) -> list[Failure]:
        """The slots that failed."""
        return [item for item in self if isinstance(item, Failure)]

    def __await__(self) -> Generator[Any, None, Batch]:
        yield from ()
        return self


def episode(reply: Mapping[str, Any]) -> Episode:
    """Make an Episode of the host's answer."""
    made = Episode(reply["text"])
    made.value = reply.get("value", reply["text"])
    made.iterations = reply.get("iterations", 1)
    made.forced = reply.get("forced", False)
    made.summary = reply.get("summary", "")
    made.cost = reply.get("cost")
    made.sources = reply.get("sources", [])
    made.route = reply.get("route", "completion")
    made._fields = list(reply.get("fields", ()))
    return made


def outcome(reply: Mapping[str, Any]) -> Episode | Failure:
    """Make an Episode or a Failure of one slot of a batch."""
    failure = reply.get("failure")
    if failure is None:
        return episode(reply)
    return Failure(
        str(failure.get("type")), str(failure.get("message")), bool(failure.get("retryable"))
    )
