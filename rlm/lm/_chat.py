"""The chat completions wire: the body of a request, and what an answer or a stream means."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any

from rlm.errors import ProviderError, ReplyBlocked, ReplyCutOff
from rlm.lm._classify import brief, refusal
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Answer", "EventLines", "error_in", "messages", "read_usage", "response_format"]

Json = dict[str, Any]
_DIGITS = 12  # of a number of tokens: what is longer is none


def messages(request: Request, *, cache_control: bool = False) -> list[Json]:
    """Return the transcript as plain dicts.

    With `cache_control` the last stable message is marked for Anthropic's prompt cache.
    """
    wire: list[Json] = [{"role": m.role, "content": m.content} for m in request.messages]
    last = min(request.stable_messages, len(wire)) - 1
    if cache_control and last >= 0 and wire[last]["content"]:
        mark = {"type": "ephemeral"}
        part = {"type": "text", "text": wire[last]["content"], "cache_control": mark}
        wire[last]["content"] = [part]
    return wire


def response_format(request: Request) -> Json | None:
    """Return the parameter that asks for JSON, if the request does."""
    if request.schema is not None:
        schema = dict(request.schema)
        # strict mode refuses schemas without additionalProperties: false; we validate anyway
        wanted = {"name": "reply", "schema": schema, "strict": False}
        return {"type": "json_schema", "json_schema": wanted}
    return {"type": "json_object"} if request.json_mode else None


def read_usage(said: Any) -> Usage | None:
    """Return the tokens that an answer says it used, in the words of any compatible server.

    `None` when it does not say both sides as numbers: what is unknown is not zero.
    """
    if not isinstance(said, dict):
        return None
    prompt, output = _told(said, "prompt_tokens"), _told(said, "completion_tokens")
    total = _told(said, "total_tokens")
    if output is None and prompt is not None and total is not None:
        output = max(total - prompt, 0)
    if prompt is None or output is None:
        return None
    into = _details(said, "prompt_tokens_details")
    out = _details(said, "completion_tokens_details")
    cached = _told(into, "cached_tokens") or _told(said, "prompt_cache_hit_tokens") or 0
    written = _told(into, "cache_write_tokens") or _told(said, "cache_creation_input_tokens") or 0
    return Usage(
        input_tokens=prompt,
        cached_tokens=min(cached, prompt),
        cache_write_tokens=min(written, max(prompt - cached, 0)),
        output_tokens=output,
        reasoning_tokens=min(_told(out, "reasoning_tokens") or 0, output),
    )


def _details(said: Json, name: str) -> Json:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _told(said: Json, name: str) -> int | None:
    """Return a count, which some servers write as `12.0` or as text, or None when it is none."""
    found = said.get(name)
    if isinstance(found, str) and found.isdecimal() and len(found) < _DIGITS:
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return ceil(found) if 0 <= found < 10**_DIGITS else None


def error_in(body: Any, model: str, **facts: Any) -> ProviderError | None:
    """Return the error that a body carries, in any of the forms that servers use, or None."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None
    said = body.get("error") or (body.get("object") == "error" and body)
    if not said and facts.get("status"):
        said = body.get("message") or (body.get("detail") and json.dumps(body["detail"]))
    if not said:
        return None
    if not isinstance(said, dict):
        return refusal(model, facts.pop("status", None), str(said), **facts)
    number = said.get("code")
    status = facts.pop("status", None) or (number if isinstance(number, int) else None)
    code = number if isinstance(number, str) else ""
    facts.setdefault("code", code if code and not code.isdigit() else str(said.get("type") or ""))
    return refusal(model, status, _said(said), **facts)


def _said(error: Json) -> str:
    """Return the sentence of an error object, with the upstream provider's where there is one."""
    more = error.get("metadata")
    raw = more.get("raw") if isinstance(more, dict) else None
    numbers = [f"{name}: {error[name]}" for name in ("n_prompt_tokens", "n_ctx") if name in error]
    return "; ".join([str(error.get("message") or error), *([str(raw)] if raw else []), *numbers])


class Answer:
    """One answer while it is put together, from one body or from the chunks of a stream."""

    def __init__(
        self, model: str, on_delta: OnDelta | None = None, secrets: tuple[str, ...] = ()
    ) -> None:
        self._model = model
        self._on_delta = on_delta
        self._secrets = secrets
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._named = ""

    def take(self, body: Any) -> None:
        """Add a body or a chunk; an error inside it is raised."""
        if not isinstance(body, dict):
            raise self._broken("the answer is not a JSON object")
        self._usage = read_usage(body.get("usage")) or self._usage
        self._named = body.get("model") or self._named
        error = error_in(body, self._model, secrets=self._secrets)
        choices = body.get("choices") or [{}]
        choice = choices[0] if isinstance(choices, list) else {}
        if error is None and isinstance(choice, dict):
            error = error_in(choice, self._model, secrets=self._secrets)
        if error is not None:
            raise self._as_billed(error)
        if not isinstance(choice, dict):
            raise self._broken("a choice of the answer is not a JSON object")
        self._finish = choice.get("finish_reason") or self._finish
        said = choice.get("message") or choice.get("delta")
        if isinstance(said, dict):
            self._add(said)

    def _add(self, said: Json) -> None:
        text, thought = _content(said.get("content"))
        thought += said.get("reasoning_content") or said.get("reasoning") or ""
        if thought:
            self._reasoning.append(thought)
        if text:
            self._text.append(text)
        if said.get("refusal"):
            self._refusal.append(said["refusal"])
        if self._on_delta is not None:
            if thought:
                self._on_delta(Delta("reasoning", thought))
            if text:
                self._on_delta(Delta("text", text))

    @property
    def streams(self) -> bool:
        """Whether somebody wants the pieces."""
        return self._on_delta is not None

    @property
    def began(self) -> bool:
        """Whether any of the answer has come."""
        return bool(self._text or self._reasoning or self._usage)

    @property
    def finished(self) -> bool:
        """Whether the provider has said why the answer ends."""
        return self._finish is not None

    def reply(self) -> Reply:
        """Return the whole answer as a Reply, or raise what it means instead."""
        text = "".join(self._text)
        if self._refusal or self._finish == "content_filter":
            why = brief("".join(self._refusal), self._secrets) or "the content filter"
            raise ReplyBlocked(f"{self._model}: the answer was withheld: {why}", **self._facts)
        if self._finish == "error":
            raise self._broken("the provider ended the answer with an error")
        if not text.strip():
            if self._finish == "length":
                message = f"{self._model}: the output cap was reached before any text was written"
                raise ReplyCutOff(message, **self._facts)
            raise self._broken(f"the answer is empty (finish reason {self._finish!r})")
        return Reply(
            text=text,
            reasoning="".join(self._reasoning),
            usage=self._usage,
            model=self._named,
            finish="length" if self._finish == "length" else "stop",
        )

    def cut_off(self, why: str) -> ReplyCutOff:
        """Return the error for an answer that stopped half-way."""
        message = f"{self._model}: the answer broke off half-way: {why}"
        return ReplyCutOff(message, retryable=True, **self._facts)

    def _as_billed(self, error: ProviderError) -> ProviderError:
        """Return an error that came inside an answer: work was done, or the cap was the cause."""
        error.usage = self._usage
        refused = error.http_status is not None and error.http_status < 500
        error.may_be_billed = self.began or not refused  # work failed, though accepted with 200
        if self._finish == "length" and not error.retryable:
            return ReplyCutOff(str(error), **self._facts)
        return error

    def _broken(self, why: str) -> ProviderError:
        return ProviderError(f"{self._model}: {why}", retryable=True, **self._facts)

    @property
    def _facts(self) -> Json:
        return {"model": self._model, "usage": self._usage}


def _content(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a content: a string, nothing, or a list of typed parts."""
    if isinstance(content, str):
        return content, ""
    text = thought = ""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += inner if isinstance(inner, str) else _content(inner)[0]
        else:
            text += part.get("text") or ""
    return text, thought


class EventLines:
    """The data of server-sent events, from bytes as they arrive."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of each line that is now complete; comments and other fields are dropped.

        Each line is one message: no provider spreads a chunk over several `data:` lines.
        """
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def unsupported(body: Mapping[str, Any], status: int, text: str, names: tuple[str, ...]) -> str:
    """Return which of these parameters a server refuses to know, or an empty string."""
    if status not in (400, 422):
        return ""
    lower = text.lower()
    words = ("unsupported", "not supported", "unrecognized", "unknown", "extra", "not permitted")
    if not any(word in lower for word in (*words, "unexpected", "does not support", "unavailable")):
        return ""
    return next((name for name in names if name in body and name in lower), "")
