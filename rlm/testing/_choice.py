"""The choice of a loopback server's reply: by a script, or by a function of the request."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlm.errors import ConfigurationError
from rlm.testing._script import Entry, Fault, Script, ServerReply, ServerRequest

__all__ = ["Answer", "compiled"]

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

    def _choose(self, request: ServerRequest) -> tuple[Entry | None, Sequence[str]]:
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
