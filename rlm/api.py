"""The front door: ask a typed question, get a Result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, Unpack, overload

from rlm._sync import run_sync
from rlm.errors import ConfigurationError
from rlm.live import AsyncStream, Stream
from rlm.program import prepare
from rlm.result import Result
from rlm.settings import Options, merged
from rlm.signature import Signature

__all__ = ["RLM", "acompletion", "apredict", "astream", "completion", "predict", "stream"]


T = TypeVar("T")


@overload
def predict(
    signature: type[T], *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[T]: ...
@overload
def predict(
    signature: tuple[type[Any], type[T]],
    *,
    input: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> Result[T]: ...
@overload
def predict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]: ...
def predict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]:
    """Answer a typed question and return the Result.

    `signature` is text (`"report, question -> answer: str, page: int"`), a class, a pair of
    pydantic models, or anything else that Signature.parse takes; `input` has a value for each
    input field. `result.output` has the fields of a class that is given. The options are those
    of `rlm.settings.Options`. What is impossible raises ConfigurationError before anything is
    spent; everything else is on the Result.
    """
    return run_sync(apredict(signature, input=input, **options))


@overload
async def apredict(
    signature: type[T], *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[T]: ...
@overload
async def apredict(
    signature: tuple[type[Any], type[T]],
    *,
    input: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> Result[T]: ...
@overload
async def apredict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]: ...
async def apredict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]:
    """Answer a typed question, as `predict` does, on the running loop."""
    program = prepare(signature, input or {}, merged(options))
    return await program()


def completion(
    prompt: str,
    *,
    context: Any = None,
    root_prompt: str | None = None,
    **options: Unpack[Options],
) -> Result[Any]:
    """Answer a question in words over a context of any size; `result.value` is the text.

    Without a context the prompt is also the variable `context`. `root_prompt` names the question
    when `prompt` is the data, as other runtimes spell it.
    """
    given: Any = {"context": context, "root_prompt": root_prompt, **options}
    return run_sync(acompletion(prompt, **given))


async def acompletion(
    prompt: str,
    *,
    context: Any = None,
    root_prompt: str | None = None,
    **options: Unpack[Options],
) -> Result[Any]:
    """Answer a question in words, as `completion` does, on the running loop."""
    task, data = _question(prompt, context, root_prompt)
    return await prepare(_ASK, {"context": data}, merged(options), task=task)()


def stream(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Stream:
    """Start a run in the background; iterate over its events and deltas, then ask `.result()`.

    `signature` may also be a plain question when `input` has a `context`.
    """
    return Stream(lambda: _streamed(signature, input, options))


def astream(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> AsyncStream:
    """Start a run on the running loop; iterate over it, then await its `.result()`."""
    return _streamed(signature, input, options)


class RLM:
    """Defaults for many runs: `RLM(model=…, limits=…)` has `predict`, `completion`, `stream`.

    An option given to a call wins over one given here, and this over `rlm.configure`.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._options = merged(options)

    def __repr__(self) -> str:
        return f"RLM(model={self._options.get('model')!r})"

    @overload
    def predict(
        self,
        signature: type[T],
        *,
        input: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Result[T]: ...
    @overload
    def predict(
        self,
        signature: tuple[type[Any], type[T]],
        *,
        input: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Result[T]: ...
    @overload
    def predict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]: ...
    def predict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a typed question."""
        return predict(signature, input=input, **self._with(options))

    @overload
    async def apredict(
        self,
        signature: type[T],
        *,
        input: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Result[T]: ...
    @overload
    async def apredict(
        self,
        signature: tuple[type[Any], type[T]],
        *,
        input: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Result[T]: ...
    @overload
    async def apredict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]: ...
    async def apredict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a typed question on the running loop."""
        return await apredict(signature, input=input, **self._with(options))

    def completion(
        self,
        prompt: str,
        *,
        context: Any = None,
        root_prompt: str | None = None,
        **options: Unpack[Options],
    ) -> Result[Any]:
        """Answer a question in words."""
        given = {"context": context, "root_prompt": root_prompt, **self._with(options)}
        return completion(prompt, **given)

    async def acompletion(
        self,
        prompt: str,
        *,
        context: Any = None,
        root_prompt: str | None = None,
        **options: Unpack[Options],
    ) -> Result[Any]:
        """Answer a question in words on the running loop."""
        given = {"context": context, "root_prompt": root_prompt, **self._with(options)}
        return await acompletion(prompt, **given)

    def stream(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Stream:
        """Start a run in the background."""
        return stream(signature, input=input, **self._with(options))

    def astream(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> AsyncStream:
        """Start a run on the running loop."""
        return astream(signature, input=input, **self._with(options))

    def _with(self, options: Mapping[str, Any]) -> Any:
        return {**self._options, **options}


# Questions in words --------------------------------------------------------

_ASK = Signature.parse("context -> answer: str")
_LONGEST_QUESTION = 200_000  # characters: more than this is data


def _streamed(
    signature: Any, input: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> AsyncStream:
    chosen = merged(options, {"stream": options.get("stream", True)})
    inputs = input or {}
    if isinstance(signature, str) and "->" not in signature:
        task, data = _question(signature, inputs.get("context"), None)
        return AsyncStream(lambda sink: prepare(_ASK, {"context": data}, chosen, task, sink))
    return AsyncStream(lambda sink: prepare(signature, inputs, chosen, None, sink))


def _question(prompt: str, context: Any, root_prompt: str | None) -> tuple[str, Any]:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigurationError(f"the question is {prompt!r}: ask something in words")
    if root_prompt is not None and context is None:
        return root_prompt, prompt
    if len(prompt) > _LONGEST_QUESTION:
        raise ConfigurationError(
            f"the question has {len(prompt):,} characters and would be shown to the model whole: "
            "pass the data as context=…"
        )
    return prompt, prompt if context is None else context
