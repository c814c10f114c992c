"""What a run came to: a fold of its trace, and nothing that is not in it."""

from __future__ import annotations

import html
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from rlm import errors, events
from rlm.errors import RunError
from rlm.signature import Output, Signature
from rlm.trace import Trace
from rlm.usage import Usage, add_costs
from rlm.views import CallView, TurnView, calls_of, paid_events, turns_of

__all__ = ["Result", "error_from"]

T = TypeVar("T")


class Result(Generic[T]):
    """What a run came to.

    `status` says what the caller has, `ended_by` why the run ended, `forced` that the answer came
    from the last request. `output` is the validated output (attributes and items) and raises the
    run's error when there is none; `value` is the field of a single-field signature. Equal
    results have the same facts: `Result(Trace.read(path)) == result`.
    """

    def __init__(self, trace: Trace, *, signature: Signature | None = None) -> None:
        self.trace = trace
        self._signature = signature

    # What the caller has ----------------------------------------------------------------------

    @cached_property
    def _end(self) -> events.RunFinished | None:
        return self.trace.last(events.RunFinished)

    @cached_property
    def ending(self) -> events.CallFinished | events.CallFailed | None:
        """How the root ended."""
        ends: Any = (events.CallFinished, events.CallFailed)
        found: events.CallFinished | events.CallFailed | None = self.trace.last(*ends, call="0")
        return found

    @cached_property
    def _start(self) -> events.RunStarted | None:
        return self.trace.first(events.RunStarted)

    @property
    def run_id(self) -> str:
        """The name of the run, and of its log."""
        return self.trace.run

    @property
    def log(self) -> str:
        """Where the log is, or `""` when the run kept none."""
        return self.trace.location

    @property
    def status(self) -> str:
        """What the caller has: one of the words of `rlm.events.Status`."""
        return self._end.status if self._end else "aborted"

    @property
    def ended_by(self) -> str:
        """Why the run ended: `submitted`, `final`, a limit's name, `cancelled` …"""
        return self._end.ended_by if self._end else "cut_off"

    @property
    def ok(self) -> bool:
        """Whether there is a valid output that needs nobody's review."""
        return self.status == "completed"

    @property
    def needs_review(self) -> bool:
        """Whether a person should look before the output is used."""
        return self.status == "needs_review"

    @property
    def failed(self) -> bool:
        """Whether the run ended without what was asked for."""
        return not (self.ok or self.needs_review)

    @property
    def forced(self) -> bool:
        """Whether the answer came from the last request, after a limit or a loop."""
        return isinstance(self.ending, events.CallFinished) and self.ending.forced

    @cached_property
    def error(self) -> RunError | None:
        """The error that ended the run, or `None`."""
        fact = self._end.error if self._end else None
        if fact is None and isinstance(self.ending, events.CallFailed):
            fact = self.ending.error
        return error_from(fact) if fact else None

    @cached_property
    def signature(self) -> Signature:
        """The contract of the run, as given or as the trace tells it."""
        if self._signature is not None:
            return self._signature
        root = self.trace.first(events.CallStarted, call="0")
        return Signature.from_json((root.signature if root else None) or {})

    @cached_property
    def _output(self) -> Output | None:
        fields = None
        if isinstance(self.ending, events.CallFinished):
            fields = self.ending.output
        elif isinstance(self.ending, events.CallFailed):
            fields = self.ending.submitted
        return None if fields is None else self.signature.restore(fields)

    @property
    def output(self) -> T:
        """The validated output; raises the run's error when there is none.

        An Output, which is a mapping and has the fields of T as attributes.
        """
        return cast("T", self._existing)

    @property
    def _existing(self) -> Output:
        if self._output is None:
            raise self.error or RunError("the run has no output")
        return self._output

    @property
    def value(self) -> Any:
        """The value of the only output field; of several, the whole output."""
        output = self._existing
        return next(iter(output.values())) if len(output) == 1 else output

    @property
    def text(self) -> str:
        """The value as text."""
        return str(self.value)

    @property
    def validation_errors(self) -> list[str]:
        """The problems of the last refused output, when none was accepted after it."""
        refused = self.trace.last(events.OutputRefused, call="0")
        accepted = self.trace.last(events.OutputSubmitted, call="0")
        if refused is None or (accepted is not None and accepted.seq > refused.seq):
            return []
        return list(refused.problems)

    # What it took -----------------------------------------------------------------------------

    @cached_property
    def usage(self) -> Usage:
        """The tokens of the whole tree, with the estimates of requests that were cut off."""
        return sum((e.usage for e in paid_events(self.trace)), Usage())

    @cached_property
    def cost(self) -> Decimal | None:
        """The dollars of the whole tree, with the estimates of requests that were cut off;
        `None` when the price of any model that was used is unknown."""
        return add_costs(_costs(self.trace))

    @cached_property
    def cost_by_model(self) -> dict[str, Decimal | None]:
        """The dollars by the name of the model."""
        models = dict.fromkeys(e.model for e in paid_events(self.trace))
        return {m: add_costs(_costs(self.trace, model=m)) for m in models}

    @property
    def seconds(self) -> float:
        """How long the run took."""
        last = self.trace.last(events.Event)
        return last.t if last else 0.0

    @cached_property
    def llm_calls(self) -> int:
        """Requests to models that were sent; those that the cache answered are not among them."""
        cached = sum(e.cached for e in self.trace.of(events.ModelReplied))
        return len(self.trace.of(events.ModelAsked)) - cached

    @property
    def sub_calls(self) -> int:
        """Nodes of the tree below the root."""
        return sum(e.call != "0" for e in self.trace.of(events.CallStarted))

    @property
    def iterations(self) -> int:
        """Turns of the root."""
        return self.ending.iterations if self.ending else 0

    @cached_property
    def cache(self) -> dict[str, int]:
        """Sub-call requests that the cache answered, those that it did not, and distinct ones."""
        asked = [e for e in self.trace.of(events.ModelAsked) if e.key]
        cached = {e.ask for e in self.trace.of(events.ModelReplied) if e.cached}
        hits = sum(e.ask in cached for e in asked)
        return {"hits": hits, "misses": len(asked) - hits, "size": len({e.key for e in asked})}

    @property
    def sandbox(self) -> dict[str, Any]:
        """Where the code ran and what confined it."""
        opened = self.trace.first(events.SessionOpened, call="0")
        name = self._start.sandbox if self._start else ""
        return {"name": name, **(opened.confinement if opened else {})}

    @property
    def warnings(self) -> list[str]:
        """What the runtime found worth saying."""
        noted = self.trace.of(events.Logged)
        found = [e.message for e in noted if e.level == "warning"]
        left_out = [f"left out of the log: {why}" for why in self.trace.skipped]
        return [*found, *left_out, *([self.trace.damaged] if self.trace.damaged else [])]

    # How it went ------------------------------------------------------------------------------

    def turns(self, call: str = "0") -> list[TurnView]:
        """Return the turns of a call, in order."""
        return turns_of(self.trace, call)

    def calls(self) -> list[CallView]:
        """Return the nodes of the recursion tree, parents before children."""
        return calls_of(self.trace)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "ended_by": self.ended_by,
            "forced": self.forced,
            "output": None if self._output is None else self.signature.dump(self._output),
            "error": _error_dict(self.error),
            "validation_errors": self.validation_errors,
            "usage": {**self.usage.model_dump(), "total_tokens": self.usage.total_tokens},
            "cost_usd": None if self.cost is None else str(self.cost),
            "seconds": self.seconds,
            "iterations": self.iterations,
            "llm_calls": self.llm_calls,
            "sub_calls": self.sub_calls,
            "cache": self.cache,
            "sandbox": self.sandbox,
            "warnings": self.warnings,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment] # equal by its facts

    def __repr__(self) -> str:
        shown = repr(dict(self._output))[:200] if self._output is not None else repr(self.error)
        return f"<Result {self.status} ({self.ended_by}) {shown}>"

    def _repr_html_(self) -> str:
        rows = {"status": f"{self.status} ({self.ended_by})"}
        rows |= {k: str(v) for k, v in (self._output or {}).items()}
        if self.error is not None:
            rows["error"] = str(self.error)
        cost = "unknown" if self.cost is None else f"${self.cost:.4f}"
        rows["took"] = (
            f"{self.seconds:.1f} s, {self.llm_calls} model calls, "
            f"{self.usage.total_tokens:,} tokens, cost {cost}"
        )
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(k)}</th>"
            f"<td style='text-align:left'><pre style='margin:0;white-space:pre-wrap'>"
            f"{html.escape(v[:5000])}</pre></td></tr>"
            for k, v in rows.items()
        )
        return f"<table>{cells}</table>"


def _costs(trace: Trace, model: str | None = None) -> list[Decimal | None]:
    return [e.cost for e in paid_events(trace) if model is None or e.model == model]


def error_from(fact: events.ErrorFact) -> RunError:
    """Return the error that a fact tells of, of the same class and with the same fields."""
    kind = getattr(errors, fact.type, RunError)
    if not (isinstance(kind, type) and issubclass(kind, RunError)):
        kind = RunError
    error = kind.__new__(kind)
    Exception.__init__(error, fact.message)
    error.__dict__.update(fact.details)
    return error


def _error_dict(error: RunError | None) -> dict[str, Any] | None:
    return None if error is None else {"type": type(error).__name__, "message": str(error)}
