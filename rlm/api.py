"""The front door: ask a typed question, get a Result."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Unpack

from rlm import events, resolve
from rlm._sync import run_sync
from rlm.call import error_fact
from rlm.errors import Aborted, BudgetExceeded, ConfigurationError, RunError
from rlm.files import File
from rlm.inputs import check_limits, keep_large
from rlm.live import AsyncStream, Stream
from rlm.loop import ReplCall, tool_fact
from rlm.redaction import Redactor
from rlm.result import Result
from rlm.run import RunConfig, open_run
from rlm.settings import Options, merged
from rlm.signature import Signature
from rlm.store.files import FileLog
from rlm.trace import Trace

__all__ = ["RLM", "acompletion", "apredict", "astream", "completion", "predict", "stream"]


def predict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]:
    """Answer a typed question and return the Result.

    `signature` is text (`"report, question -> answer: str, page: int"`), a class, a pair of
    pydantic models, or anything else that Signature.parse takes; `input` has a value for each
    input field. The options are those of `rlm.settings.Options`. What is impossible raises
    ConfigurationError before anything is spent; everything else is on the Result.
    """
    return run_sync(apredict(signature, input=input, **options))


async def apredict(
    signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> Result[Any]:
    """Answer a typed question, as `predict` does, on the running loop."""
    program = _prepare(signature, input or {}, merged(options))
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
    return await _prepare(_ASK, {"context": data}, merged(options), task=task)()


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

    def predict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a typed question."""
        return predict(signature, input=input, **self._with(options))

    async def apredict(
        self, signature: Any, *, input: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a typed question on the running loop."""
        return await apredict(signature, input=input, **self._with(options))

    def completion(
        self, prompt: str, *, context: Any = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a question in words."""
        return completion(prompt, context=context, **self._with(options))

    async def acompletion(
        self, prompt: str, *, context: Any = None, **options: Unpack[Options]
    ) -> Result[Any]:
        """Answer a question in words on the running loop."""
        return await acompletion(prompt, context=context, **self._with(options))

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


# How a run is prepared and carried out --------------------------------------------------------

_ASK = Signature.parse("context -> answer: str")
_SENT_AS_THEY_ARE = (str, bytes, int, float, File, type(None))
_LONGEST_QUESTION = 200_000  # characters: more than this is data


def _streamed(
    signature: Any, input: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> AsyncStream:
    chosen = merged(options, {"stream": options.get("stream", True)})
    inputs = input or {}
    if isinstance(signature, str) and "->" not in signature:
        task, data = _question(signature, inputs.get("context"), None)
        return AsyncStream(lambda sink: _prepare(_ASK, {"context": data}, chosen, task, sink))
    return AsyncStream(lambda sink: _prepare(signature, inputs, chosen, None, sink))


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


def _prepare(
    signature: Any,
    input: Mapping[str, Any],
    options: Mapping[str, Any],
    task: str | None = None,
    sink: Callable[..., None] | None = None,
) -> _Program:
    """Resolve everything by name; nothing is started or spent yet."""
    contract = Signature.parse(signature)
    if options.get("instructions"):
        contract = contract.with_instructions(str(options["instructions"]))
    inputs = contract.check_inputs(input)
    limits = resolve.limits(options.get("limits"))
    check_limits(inputs, limits)
    seed = options.get("seed")
    config = RunConfig(
        signature=contract,
        task=task or contract.instructions or _aim(contract),
        inputs=inputs,
        roster=resolve.roster(options, limits),
        sandbox=resolve.sandbox(options.get("sandbox")),
        limits=limits,
        tools=resolve.tools(options.get("tools")),
        validators=tuple(options.get("validators") or ()),
        dialect=resolve.dialect(options.get("dialect")),
        seed=secrets.randbits(32) if seed is None else int(seed),
        stream=bool(options.get("stream")),
        store_inputs=options.get("store_inputs", True),
        tags=tuple(options.get("tags") or ()),
    )
    return _Program(config, _trace(options, sink))


def _aim(signature: Signature) -> str:
    given = ", ".join(field.name for field in signature.inputs)
    wanted = ", ".join(field.name for field in signature.outputs)
    return f"Given {given}, find {wanted}." if given else f"Find {wanted}."


def _trace(options: Mapping[str, Any], sink: Callable[..., None] | None) -> Trace:
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    redactor = Redactor.from_environment(os.environ)
    redactor.add(dict(options.get("secrets") or {}))
    redactor.add(_keys(options))
    folder = options.get("log_dir")
    return Trace(
        run,
        sinks=[*resolve.sinks(options.get("on_event")), *([sink] if sink else [])],
        writer=FileLog(folder, run) if folder is not None else None,
        redactor=redactor,
    )


def _keys(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys that the models were given by hand."""
    found = {}
    given = [options.get("model"), options.get("sub_model"), *(options.get("models") or ())]
    for each in given:
        for model in each if isinstance(each, (list, tuple)) else [each]:
            key = getattr(model, "api_key", None)
            if isinstance(key, str):
                found[f"API_KEY of {getattr(model, 'name', '')}"] = key
    return found


class _Program:
    """A run that is ready to start; calling it carries it out and returns its Result."""

    def __init__(self, config: RunConfig, trace: Trace) -> None:
        self._config = config
        self._ended_by = ""
        self.trace = trace

    @property
    def result(self) -> Result[Any]:
        """The result, as far as the run has come."""
        return Result(self.trace, signature=self._config.signature)

    async def __call__(self) -> Result[Any]:
        self._start()
        error: BaseException | None = None
        ended_by = ""
        try:
            ended_by = await self._answer()
        except RunError as failure:
            error = failure
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._finish(error, ended_by)
        return self.result

    async def _answer(self) -> str:
        config, trace = self._config, self.trace
        async with open_run(config, trace) as run:
            if not all(isinstance(value, _SENT_AS_THEY_ARE) for value in config.inputs.values()):
                await run.place()  # what cannot be sent is refused before anything is spent
            keeping = None
            if trace.location:
                keeping = asyncio.create_task(keep_large(config.inputs, trace, config.store_inputs))
            root = ReplCall(
                run,
                "0",
                signature=config.signature,
                task=config.task,
                inputs=config.inputs,
                model=config.roster.root,
            )
            try:
                outcome = await root.answer()
                if keeping is not None:
                    await keeping
            finally:
                self._ended_by = root.ended_by
                if keeping is not None:
                    keeping.cancel()
                    await asyncio.wait([keeping])
            return outcome.ended_by

    def _start(self) -> None:
        from rlm import __version__

        config = self._config
        self.trace.emit(
            events.RunStarted,
            version=__version__,
            python=platform.python_version(),
            task=config.task,
            models=tuple(config.roster.facts()),
            sandbox=config.sandbox.name,
            limits=config.limits.model_dump(mode="json"),
            seed=config.seed,
            dialect=config.dialect,
            tools=tuple(tool_fact(tool) for tool in config.tools),
            validators=tuple(getattr(v, "__name__", repr(v)) for v in config.validators),
            tags=config.tags,
        )

    def _finish(self, error: BaseException | None, ended_by: str) -> None:
        told = error
        if error is not None and not isinstance(error, RunError):
            told = Aborted(f"the run was cancelled ({type(error).__name__})")
        self.trace.emit(
            events.RunFinished,
            status=self._status(told),
            ended_by=ended_by or self._ended_by or type(told).__name__,
            error=error_fact(told) if told else None,
        )
        self.trace.close()

    def _status(self, error: BaseException | None) -> str:
        if error is None:
            return "completed"
        if isinstance(error, BudgetExceeded) and self._config.limits.on_exceeded == "needs_review":
            return "needs_review"
        return error.status if isinstance(error, RunError) else "aborted"
