"""Many runs in one process, and many nodes in one run: everybody gets their own answer."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import cell, served

import rlm
from rlm import events
from rlm.testing import LoopbackServer, ServerReply, ServerRequest

RUNS = 100
TURNS = (
    "print('I am', context)\nmine = context * 2",
    "print('sub-call:', llm_query('say ' + context))\nprint(mine)",
    "submit(context + '|' + mine)",
)


def play(request: ServerRequest) -> ServerReply:
    if request.prompt.startswith("say "):
        return ServerReply(f"said {request.prompt[4:]}", delay=0.005)
    turn = sum(m.role == "assistant" for m in request.messages)
    return ServerReply(cell(TURNS[turn]), delay=0.005)


def name(number: int) -> str:
    return f"run-{number:03}"


def right(results: list[rlm.Result[Any]]) -> None:
    assert [r.value for r in results] == [f"{name(n)}|{name(n) * 2}" for n in range(RUNS)]
    assert len({r.run_id for r in results}) == RUNS
    for number, result in enumerate(results):
        checked(result)
        printed = "".join(e.stdout for e in result.trace.of(events.CodeExecuted))
        own = name(number)
        assert printed == f"I am {own}\nsub-call: said {own}\n{own * 2}\n"


def test_100_runs_at_once_as_tasks_give_100_right_answers(tmp_path: Path) -> None:
    async def main(server: LoopbackServer) -> list[rlm.Result[Any]]:
        model = served(server)
        return await asyncio.gather(
            *[
                rlm.acompletion("Who?", context=name(n), model=model, log_dir=tmp_path)
                for n in range(RUNS)
            ]
        )

    with LoopbackServer(play, keep_requests=False) as server:
        right(asyncio.run(main(server)))
        assert server.billed.requests == 4 * RUNS


def test_100_runs_at_once_in_threads_give_100_right_answers(tmp_path: Path) -> None:
    results: dict[int, rlm.Result[Any]] = {}

    def one(number: int, model: rlm.Model) -> None:
        results[number] = rlm.completion(
            "Who?", context=name(number), model=model, log_dir=tmp_path
        )

    with LoopbackServer(play, keep_requests=False) as server:
        threads = [
            threading.Thread(target=one, args=(n, served(server)), daemon=True) for n in range(RUNS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    right([results[n] for n in range(RUNS)])


def test_the_hosts_own_streams_and_folder_are_untouched(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = Path.cwd()
    code = "import os\nprint('of the guest')\nos.chdir('/')\nsubmit('x')"
    with LoopbackServer([cell(code)]) as server:
        checked(rlm.completion("Go", model=served(server), log_dir=tmp_path))
    assert Path.cwd() == where
    assert "of the guest" not in "".join(capfd.readouterr())


SPREAD = """
print("I am", context)
replies = parallel_queries(*[
    {"prompt": f"name {context}.{n}", "context": f"{context}.{n}", "recursive": %s}
    for n in range(4)
])
submit(" ".join(replies))
"""


def grow(request: ServerRequest) -> ServerReply:
    """Leaves name themselves; the others ask four children, and join what those say."""
    if len(request.messages) == 1:
        words = request.prompt.split()
        return ServerReply(next(w for w in words if w.startswith("tree.")), delay=0.01)
    opening = request.messages[1].content.split()
    dots = max(w.strip("'\"").count(".") for w in opening if w.strip("'\"").startswith("tree"))
    return ServerReply(cell(SPREAD % (dots < 2)), delay=0.01)


@pytest.mark.parametrize("concurrency", [4, 16, 64])
def test_a_tree_of_85_nodes_has_85_right_nodes(tmp_path: Path, concurrency: int) -> None:
    leaves = [f"tree.{a}.{b}.{c}" for a in range(4) for b in range(4) for c in range(4)]
    with LoopbackServer(grow, prices={"x": (1, 1)}) as server:
        result = checked(
            rlm.completion(
                "Spread",
                context="tree",
                model=served(server),
                limits={"max_depth": 3, "max_concurrency": concurrency},
                log_dir=tmp_path,
            )
        )
        assert server.peak_in_flight <= concurrency
        assert result.cost == server.billed.dollars
    assert result.value.split() == leaves
    calls = result.calls()
    assert len(calls) == 85 and {c.status for c in calls} == {"finished"}
    children = Counter(c.parent for c in calls)
    assert sorted(children.values()) == [1] + [4] * 21
    for call in calls:
        if call.route == "repl":
            (cell_run,) = result.trace.of(events.CodeExecuted, call=call.id)
            mine = cell_run.stdout.removeprefix("I am ").strip()
            assert call.output is not None
            assert call.output["answer"].split() == [n for n in leaves if n.startswith(mine + ".")]
