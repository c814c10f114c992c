"""Parts of a run as a person looks at them, computed from its trace: turns, calls, payments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from rlm import events
from rlm.trace import Trace
from rlm.usage import Usage, add_costs

__all__ = ["CallView", "Paid", "TurnView", "calls_of", "paid_events", "turns_of"]


@dataclass(frozen=True)
class TurnView:
    """One turn of a call: what the model asked for and what came of it."""

    number: int
    kind: str
    reasoning: str = ""
    code: str = ""
    problem: str = ""
    warnings: tuple[str, ...] = ()
    execution: events.CodeExecuted | None = None


@dataclass(frozen=True)
class CallView:
    """One node of the recursion tree. `cost` and `usage` are its own, without its children's."""

    id: str
    parent: str
    route: str
    model: str
    task: str
    status: str
    iterations: int
    forced: bool
    ended_by: str
    seconds: float
    usage: Usage
    cost: Decimal | None
    cached: bool
    output: Mapping[str, Any] | None
    error: events.ErrorFact | None


Paid = events.ModelReplied | events.ModelLost | events.ModelRetried
_PAID: Any = get_args(Paid)
_ENDS: Any = (events.CallFinished, events.CallFailed)


def paid_events(trace: Trace) -> list[Paid]:
    """Return the events that tell what a request cost or may have cost."""
    found: list[Paid] = trace.of(*_PAID)
    return found


def turns_of(trace: Trace, call: str) -> list[TurnView]:
    """Return the turns of a call, in order."""
    replies = {e.ask: e for e in trace.of(events.ModelReplied, call=call)}
    found: dict[int, dict[str, Any]] = {}
    reasoning = ""
    for e in trace.of(events.Event, call=call):
        if isinstance(e, events.MessageAdded) and e.ask is not None and e.ask in replies:
            reasoning = replies[e.ask].reasoning or replies[e.ask].text
        turn = found.setdefault(e.turn, {}) if isinstance(e, _IN_TURN) else {}
        match e:
            case events.ActionParsed():
                turn |= {"kind": e.kind, "reasoning": reasoning}
            case events.ActionRefused():
                turn |= {"kind": "refused", "problem": e.problem, "reasoning": reasoning}
            case events.CodeChecked():
                turn |= {"warnings": e.warnings, "problem": e.problem or ""}
            case events.CellStarted():
                turn |= {"code": e.code}
            case events.CodeExecuted():
                turn |= {"execution": e}
            case events.OutputRefused():
                turn |= {"problem": "; ".join(e.problems)}
    return [TurnView(number=n, **{"kind": "", **found[n]}) for n in sorted(found)]


_IN_TURN = (
    events.ActionParsed,
    events.ActionRefused,
    events.CodeChecked,
    events.CellStarted,
    events.CodeExecuted,
    events.OutputSubmitted,
    events.OutputRefused,
)


def calls_of(trace: Trace) -> list[CallView]:
    """Return the nodes of the recursion tree, parents before children."""
    ends = {e.call: e for e in trace.of(*_ENDS)}
    paid: dict[str, list[Paid]] = {}
    for e in paid_events(trace):
        paid.setdefault(e.call, []).append(e)
    return [_call(e, ends.get(e.call), paid.get(e.call, [])) for e in trace.of(events.CallStarted)]


def _call(
    start: events.CallStarted,
    end: events.CallFinished | events.CallFailed | None,
    paid: list[Paid],
) -> CallView:
    replies = [e for e in paid if isinstance(e, events.ModelReplied)]
    finished = end if isinstance(end, events.CallFinished) else None
    status = "running" if end is None else "finished" if finished else "failed"
    return CallView(
        id=start.call,
        parent=start.parent,
        route=start.route,
        model=start.model,
        task=start.task,
        status=status,
        iterations=end.iterations if end else 0,
        forced=bool(finished and finished.forced),
        ended_by=end.ended_by if end else "",
        seconds=round(end.t - start.t, 6) if end else 0.0,
        usage=sum((e.usage for e in paid), Usage()),
        cost=add_costs([e.cost for e in paid]),
        cached=bool(replies) and all(e.cached for e in replies),
        output=finished.output if finished else None,
        error=end.error if isinstance(end, events.CallFailed) else None,
    )
