"""A run from its options to its end: resolved, started, carried out, given a status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rlm import events, resolve
from rlm._version import __version__
from rlm.call import error_fact
from rlm.errors import Aborted, BudgetExceeded, RLMError, RunError
from rlm.files import File
from rlm.inputs import check_limits, check_names, keep_large
from rlm.loop import ReplCall, tool_fact
from rlm.redaction import Redactor
from rlm.result import Result
from rlm.run import Run, RunConfig, open_run
from rlm.signature import Signature
from rlm.store.files import FileLog
from rlm.trace import Trace

__all__ = ["Program", "prepare"]

_SENT_AS_THEY_ARE = (str, bytes, int, float, File, type(None))


def prepare(
    signature: Any,
    input: Mapping[str, Any],
    options: Mapping[str, Any],
    task: str | None = None,
    sink: Callable[..., None] | None = None,
) -> Program:
    """Resolve everything by name and return the run, ready to start; nothing is spent yet.

    `task` is the question in words where the signature does not hold it; `sink` watches beside
    those of the options. Raises ConfigurationError for what is impossible.
    """
    options = {**options, "models": tuple(options.get("models") or ())}
    contract = Signature.parse(signature)
    if options.get("instructions"):
        contract = contract.with_instructions(str(options["instructions"]))
    inputs = contract.check_inputs(input, trusted=True)
    limits = resolve.limits(options.get("limits"))
    check_limits(inputs, limits)
    tools = resolve.tools(options.get("tools"))
    check_names(inputs, tools)
    seed = options.get("seed")
    config = RunConfig(
        signature=contract,
        task=task or contract.instructions or _aim(contract),
        inputs=inputs,
        roster=resolve.roster(options, limits),
        sandbox=resolve.sandbox(options.get("sandbox")),
        limits=limits,
        tools=tools,
        validators=tuple(options.get("validators") or ()),
        dialect=resolve.dialect(options.get("dialect")),
        seed=secrets.randbits(32) if seed is None else int(seed),
        stream=bool(options.get("stream")),
        store_inputs=options.get("store_inputs", True),
        tags=tuple(map(str, options.get("tags") or ())),
    )
    return Program(config, _trace(options, sink))


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


class Program:
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
        """Carry the run out; whatever happens, the trace gets its ending."""
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
                keeping = asyncio.create_task(self._keep(run))
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

    async def _keep(self, run: Run) -> None:
        """Keep large inputs once the sandbox has them, for the first cell waits for that."""
        with contextlib.suppress(RLMError):  # the root runs into the same, and says so
            await run.place()
        await keep_large(self._config.inputs, self.trace, self._config.store_inputs)

    def _start(self) -> None:
        config = self._config
        self.trace.emit(
            events.RunStarted,
            version=__version__,
            python=sys.version.partition(" ")[0],
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
            told = Aborted(_why(error))
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


def _why(error: BaseException) -> str:
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return "the run was cancelled"
    return f"the run was broken off by {type(error).__name__}: {error}"
