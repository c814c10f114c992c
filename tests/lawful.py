"""The laws that every trace keeps, checked after any run: order, endings, replay, schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rlm import events
from rlm.result import Result
from rlm.trace import Trace

__all__ = ["check_endings", "check_order", "checked", "lines"]

R = TypeVar("R", bound=Result[Any])

ENVELOPE = ["v", "run", "call", "seq", "at", "type"]


def checked(result: R) -> R:
    """Return a result whose trace, and whose log, keep the laws."""
    check_order(result.trace.events)
    check_endings(result.trace.events)
    if result.log:
        check_lines(Path(result.log))
        again = Trace.read(result.log)
        assert again.skipped == []
        assert [e.model_dump() for e in again] == [e.model_dump() for e in result.trace]
        assert Result(again) == result
        assert Result(again).to_dict() == result.to_dict()
    return result


def lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a log as they were written."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def check_lines(path: Path) -> None:
    for line in lines(path):
        assert list(line)[: len(ENVELOPE)] == ENVELOPE


def check_order(found: list[events.Event]) -> None:
    assert [e.seq for e in found] == list(range(len(found)))
    assert len({e.run for e in found}) == 1
    times = [e.t for e in found]
    assert times == sorted(times)
    started = {""}
    for event in found:
        if isinstance(event, events.CallStarted):
            assert event.parent in started and event.call not in started
            started.add(event.call)
        assert event.call in started


def check_endings(found: list[events.Event]) -> None:
    """Each start has exactly one ending, and each ending comes after its start."""
    for starts, ends in (
        (_keys(found, events.RunStarted, _of_run), _keys(found, events.RunFinished, _of_run)),
        (
            _keys(found, events.CallStarted, _of_call),
            _keys(found, (events.CallFinished, events.CallFailed), _of_call),
        ),
        (
            _keys(found, events.ModelAsked, _of_ask),
            _keys(found, (events.ModelReplied, events.ModelLost), _of_ask),
        ),
        (_keys(found, events.CellStarted, _of_cell), _keys(found, events.CodeExecuted, _of_cell)),
        (
            _keys(found, events.BridgeCalled, _of_bridge),
            _keys(found, events.BridgeReturned, _of_bridge),
        ),
        (
            _keys(found, events.ToolCalled, _of_bridge),
            _keys(found, events.ToolReturned, _of_bridge),
        ),
    ):
        begun, ended = dict(starts), dict(ends)
        assert begun.keys() == ended.keys()
        assert max(Counter(key for key, _ in starts).values(), default=1) == 1
        assert max(Counter(key for key, _ in ends).values(), default=1) == 1
        assert all(begun[key] < ended[key] for key in begun)
    assert isinstance(found[-1], events.RunFinished)


def _keys(
    found: list[events.Event], kinds: Any, key: Callable[[Any], Any]
) -> list[tuple[Any, int]]:
    return list(_pairs(found, kinds, key))


def _pairs(
    found: list[events.Event], kinds: Any, key: Callable[[Any], Any]
) -> Iterator[tuple[Any, int]]:
    for event in found:
        if isinstance(event, kinds):
            yield key(event), event.seq


def _of_run(event: events.Event) -> Any:
    return event.run


def _of_call(event: events.Event) -> Any:
    return event.call


def _of_ask(event: Any) -> Any:
    return event.ask


def _of_cell(event: Any) -> Any:
    return event.call, event.cell


def _of_bridge(event: Any) -> Any:
    return event.bridge
