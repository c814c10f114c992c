"""What a run is doing now: its tree of calls, folded from events and bounded in size."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from rlm import events
from rlm.sinks.wording import first_line

__all__ = ["Node", "RunTree", "State"]

State = Literal["waiting", "asking", "retrying", "running", "calling", "done", "failed", "stopped"]
"""What a call is doing: waiting for a slot, asking its model, running a cell, calling others …"""

_KEPT = 6
"""Ended children of a call that are still known by name; the others are only counted."""


def _few() -> deque[str]:
    return deque(maxlen=_KEPT)


@dataclass(slots=True)
class Node:
    """A call as far as it has come; `ended` counts its ended children by state."""

    id: str
    model: str
    route: str
    task: str
    began: float
    state: State = "waiting"
    doing: str = ""
    asked: bool = False
    turn: int = 0
    took: float | None = None
    cost: Decimal = Decimal(0)
    priced: bool = True
    active: dict[str, None] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    recent: deque[str] = field(default_factory=_few)

    @property
    def total_cost(self) -> Decimal | None:
        """Its own dollars, without its children's; `None` when a price is unknown."""
        return self.cost if self.priced else None


class RunTree:
    """A fold of events into what a person wants to see while they come.

    Memory and the cost of a view are bounded by what is active, not by how much has been done.
    """

    def __init__(self) -> None:
        self.run = ""
        self.models: tuple[str, ...] = ()
        self.limits: dict[str, Any] = {}
        self.nodes: dict[str, Node] = {}
        self.status = ""
        self.ended_by = ""
        self.llm_calls = 0
        self.tokens = 0
        self.cost = Decimal(0)
        self.priced = True
        self._origin = time.monotonic()
        self._last = 0.0

    @property
    def root(self) -> Node | None:
        """The root call, once it has begun."""
        return self.nodes.get("0")

    @property
    def seconds(self) -> float:
        """How long the run has taken so far, or took in all."""
        return self._last if self.status else max(time.monotonic() - self._origin, self._last)

    @property
    def total_cost(self) -> Decimal | None:
        """The dollars of the whole tree so far; `None` when a price is unknown."""
        return self.cost if self.priced else None

    def add(self, event: events.Event) -> None:
        """Take the next event."""
        self._last = event.t
        kind = type(event)  # asked once: isinstance of a pydantic model takes a microsecond
        take = _TAKES.get(kind)
        if take is None:
            return
        if kind in _OF_THE_RUN:
            take(self, event)
        elif (node := self.nodes.get(event.call)) is not None:
            take(node, event)
            if kind in _PAID:
                self._pay(node, event)  # type: ignore[arg-type] # as its kind says
            elif kind in _ENDS:
                self._fold(node)

    def seconds_of(self, node: Node) -> float:
        """How long a call has taken so far, or took in all."""
        return node.took if node.took is not None else self.seconds - node.began

    def shown(self, node: Node, room: int) -> list[Node]:
        """Return at most `room` children in the order of their ids: failed and active ones
        first, then those that ended last."""
        recent = [self.nodes[i] for i in reversed(node.recent) if i in self.nodes]
        failed = [n for n in recent if n.state == "failed"]
        working: list[Node] = []
        waiting: list[Node] = []
        for child in self._active(node):
            (waiting if child.state == "waiting" else working).append(child)
            if len(working) >= room:
                break
        done = [n for n in recent if n.state != "failed"]
        chosen = [*failed[:2], *working, *done[:3], *waiting][:room]
        return sorted(chosen, key=lambda n: _order(n.id))

    def folded(self, node: Node, shown: list[Node]) -> Counter[str]:
        """Count by state the children that are not among those shown."""
        counts = Counter(node.ended)
        counts.update(child.state for child in self._active(node))
        counts.subtract(child.state for child in shown)
        return +counts

    def _active(self, node: Node) -> Iterator[Node]:
        return (self.nodes[i] for i in node.active)

    def _start_run(self, e: events.RunStarted) -> None:
        self.run = e.run
        self.models = tuple(m.name for m in e.models if m.role == "root")
        self.limits = e.limits
        self._origin = time.monotonic() - e.t

    def _end_run(self, e: events.RunFinished) -> None:
        self.status, self.ended_by = e.status, e.ended_by

    def _start_call(self, e: events.CallStarted) -> None:
        self.nodes[e.call] = Node(e.call, e.model, e.route, first_line(_aim(e)), e.t)
        if (parent := self.nodes.get(e.parent)) is not None:
            parent.active[e.call] = None

    def _pay(
        self, node: Node, e: events.ModelReplied | events.ModelRetried | events.ModelLost
    ) -> None:
        if type(e) is events.ModelReplied:
            if e.cached:
                self.llm_calls -= 1
                return
            self.tokens += e.usage.total_tokens
        if e.cost is None:
            node.priced = self.priced = False
        else:
            node.cost += e.cost
            self.cost += e.cost

    def _asked(self, e: events.ModelAsked) -> None:
        self.llm_calls += 1
        if (node := self.nodes.get(e.call)) is not None:
            node.state, node.doing = "asking", e.model
            if node.route == "completion" and not node.asked:
                node.began = e.t  # what it waited for a slot is no part of its time
            node.asked = True
            node.turn += e.purpose != "query"
            if e.purpose == "last":
                node.doing = f"{e.model} for a last answer"

    def _fold(self, node: Node) -> None:
        parent = self.nodes.get(node.id.rpartition(".")[0])
        if parent is None or node.id not in parent.active:
            return
        del parent.active[node.id]
        parent.ended[node.state] += 1
        if len(parent.recent) == parent.recent.maxlen:
            self._forget(parent.recent[0])
        parent.recent.append(node.id)

    def _forget(self, name: str) -> None:
        node = self.nodes.pop(name, None)
        if node is not None:
            for child in (*node.recent, *node.active):
                self._forget(child)


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in name.split("."))


def _aim(e: events.CallStarted) -> str:
    """Return what a call is for; a plain completion's only message says it later."""
    contract = e.signature or {}
    return e.task or contract.get("instructions") or contract.get("name") or ""


def _gist(code: str) -> str:
    """Return the first line of a cell that says what it does."""
    lines = [line for line in code[:4000].splitlines() if line.strip()]
    telling = [line for line in lines if not line.lstrip().startswith(("import ", "from ", "#"))]
    return first_line("\n".join(telling or lines))


def _ran(node: Node, e: events.CellStarted) -> None:
    node.state, node.doing = "running", _gist(e.code)


def _executed(node: Node, e: events.CodeExecuted) -> None:
    node.doing = f"{e.error.type}: {first_line(e.error.message)}" if e.error else "cell done"


def _told(node: Node, e: events.MessageAdded) -> None:
    if e.about == "prompt" and e.role == "user" and not node.task:
        node.task = first_line(e.content or "")


def _called(node: Node, e: events.BridgeCalled) -> None:
    node.state, node.doing = "calling", e.function


def _returned(node: Node, e: events.BridgeReturned) -> None:
    if node.state == "calling":
        node.state, node.doing = "running", "cell"


def _used(node: Node, e: events.ToolCalled) -> None:
    node.state, node.doing = "calling", e.tool


def _retried(node: Node, e: events.ModelRetried) -> None:
    node.state = "retrying"
    node.doing = f"in {e.wait:.1f} s after {e.error.type}: {first_line(e.error.message)}"


def _replied(node: Node, e: events.ModelReplied) -> None:
    node.state, node.doing = "running", "reading the reply"


def _lost(node: Node, e: events.ModelLost) -> None:
    node.doing = f"{e.error.type}: {first_line(e.error.message)}"


def _refused(node: Node, e: events.OutputRefused) -> None:
    node.doing = "output refused: " + first_line("; ".join(e.problems))


def _unusable(node: Node, e: events.ActionRefused) -> None:
    node.doing = "reply refused: " + first_line(e.problem)


def _finished(node: Node, e: events.CallFinished) -> None:
    node.state, node.took = "done", e.t - node.began
    node.doing = "the last request" if e.forced else ""


def _failed(node: Node, e: events.CallFailed) -> None:
    node.state = "stopped" if e.error.type == "Aborted" else "failed"
    node.took = e.t - node.began
    node.doing = f"{e.error.type}: {first_line(e.error.message)}" * (node.state == "failed")


_OF_THE_RUN = (events.RunStarted, events.RunFinished, events.CallStarted, events.ModelAsked)
_PAID = (events.ModelReplied, events.ModelRetried, events.ModelLost)
_ENDS = (events.CallFinished, events.CallFailed)
_TAKES: dict[type[events.Event], Callable[[Any, Any], None]] = {
    events.RunStarted: RunTree._start_run,
    events.RunFinished: RunTree._end_run,
    events.CallStarted: RunTree._start_call,
    events.MessageAdded: _told,
    events.ModelAsked: RunTree._asked,
    events.ModelReplied: _replied,
    events.ModelRetried: _retried,
    events.ModelLost: _lost,
    events.CellStarted: _ran,
    events.CodeExecuted: _executed,
    events.BridgeCalled: _called,
    events.BridgeReturned: _returned,
    events.ToolCalled: _used,
    events.OutputRefused: _refused,
    events.ActionRefused: _unusable,
    events.CallFinished: _finished,
    events.CallFailed: _failed,
}
"""What each event does to the tree, or to the node of its call."""
