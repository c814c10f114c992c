from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import rlm
from rlm.events import FileRead
from rlm.prompt import render
from rlm.sandbox.base import Sandbox
from rlm.testing import InMemorySandbox, ScriptedLM

DONE = "```repl\nsubmit(answer='done')\n```"
SANDBOXES = ("process", "local", "memory")


class Case(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    title: str
    main: rlm.File


@dataclass
class Folder:
    files: list[rlm.File]


def files(*texts: str) -> list[rlm.File]:
    return [rlm.File(text=text, name=f"{number}.txt") for number, text in enumerate(texts)]


def run(
    sandbox: str, given: Any, *cells: str, replies: Any = (), **more: Any
) -> tuple[rlm.Result[Any], ScriptedLM]:
    """Run cells over the input `docs`; the replies are those of sub-calls."""
    lm = ScriptedLM([*(f"```repl\n{cell}\n```" for cell in cells), DONE])
    sub = ScriptedLM(replies)
    where: str | Sandbox = InMemorySandbox() if sandbox == "memory" else sandbox
    result = rlm.predict(
        "docs -> answer", input={"docs": given}, model=lm, sub_model=sub, sandbox=where, **more
    )
    for turn in result.turns():
        assert turn.execution is None or turn.execution.error is None, turn.execution.error
    return result, sub


def printed(result: rlm.Result[Any]) -> str:
    """What the first cell printed."""
    done = result.turns()[0].execution
    assert done is not None
    return done.stdout


def read(result: rlm.Result[Any]) -> list[tuple[str, str, int]]:
    return [
        (event.call, event.name, event.size)
        for event in result.trace.events
        if isinstance(event, FileRead)
    ]


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_files_of_a_list_are_handed_to_sub_calls_as_they_are(sandbox: str) -> None:
    cell = (
        "rs = parallel_queries(*[{'prompt': 'q', 'context': d} for d in docs], max_concurrency=1)\n"
        "print(*rs, str(llm_query('slice', context=docs[0][:3])))"
    )
    result, sub = run(sandbox, files("alpha", "beta"), cell, replies=["one", "two", "three"])
    assert printed(result) == "one two three\n"
    asked = [request.messages[-1].content for request in sub.requests]
    assert ["alpha" in asked[0], "beta" in asked[1]] == [True, True]
    assert "alp" in asked[2] and "alpha" not in asked[2]


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda file: [None, file], "docs[1]"),
        (lambda file: {"a b": file}, "docs['a b']"),
        (lambda file: {"deep": ({"x": [file]},)}, "docs['deep'][0]['x'][0]"),
        (lambda file: Case(title="t", main=file), "docs.main"),
        (lambda file: Folder([file]), "docs.files[0]"),
    ],
)
def test_a_file_anywhere_in_an_input_is_read_and_told_by_its_place(
    sandbox: str, make: Any, place: str
) -> None:
    file = rlm.File(text="long story", name="story.txt")
    cell = f"f = {place}\nprint(f.find('story'), f.text, llm_query('q', context=f))"
    result, sub = run(sandbox, make(file), cell, f"print({place}[:4])", replies=["seen"])
    assert printed(result) == "5 long story seen\n"
    assert read(result) == [("0", place, 10)]  # once in a session
    assert "long story" in sub.requests[0].messages[-1].content


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_child_has_such_a_file_as_its_context_and_reads_it_there(sandbox: str) -> None:
    child = "```repl\nprint(context.search('b.t')[0].text)\nsubmit(answer=context.name)\n```"
    result, _ = run(
        sandbox,
        files("alpha", "a bet b"),
        "r = llm_query('q', context=docs[1], recursive=True)\nprint(r, r.route)",
        replies=[child],
    )
    assert printed(result) == "1.txt repl\n"
    assert read(result) == [("0.1", "context", 7)]


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_several_files_go_to_a_child_and_to_its_own_sub_calls(sandbox: str) -> None:
    child = "```repl\nsubmit(answer=str(llm_query('leaf', context=context[1])))\n```"
    result, sub = run(
        sandbox,
        files("alpha", "beta", "gamma"),
        "print(llm_query('q', context=docs[1:], recursive=True))",
        replies=[child, "read"],
        limits={"max_depth": 3},
    )
    assert printed(result) == "read\n"
    assert "gamma" in sub.requests[1].messages[-1].content


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_typed_sub_call_takes_such_a_file(sandbox: str) -> None:
    cell = (
        "rows = parallel_predict('doc: File -> n: int', [{'doc': d} for d in docs[:2]])\n"
        "print([r.n for r in rows], predict('doc -> n: int', doc=docs[2]).n)"
    )
    replies = {text: [f'{{"n": {n}}}'] for n, text in enumerate(("uno!", "due!", "tre!"), 1)}
    result, sub = run(sandbox, files("uno!", "due!", "tre!"), cell, replies=replies)
    assert printed(result) == "[1, 2] 3\n"
    assert len(sub.requests) == 3


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_file_that_only_a_child_has_goes_on_to_its_own_sub_calls(sandbox: str) -> None:
    child = "```repl\nsubmit(answer=doc.text + str(llm_query('leaf', context=[doc])))\n```"
    result, sub = run(
        sandbox,
        "no file",
        "print(predict('doc: File -> answer', doc=b'made here', recursive=True))",
        replies=[child, "!"],
        limits={"max_depth": 3},
    )
    assert printed(result) == "made here!\n"
    assert read(result) == [("0.1", "doc", 9)]
    assert '["made here"]' in sub.requests[1].messages[-1].content


def test_files_too_large_for_one_request_become_a_child_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rlm.File, "text", property(lambda file: pytest.fail("it was read")))
    huge = [rlm.File(text="x" * 3_000_000) for _ in range(2)]
    child = "```repl\nsubmit(answer=str(len(context)))\n```"
    result, _ = run(
        "process", huge, "r = llm_query('q', context=docs)\nprint(r, r.route)", replies=[child]
    )
    assert printed(result) == "2 repl\n"


def test_a_record_with_a_file_is_written_into_a_request_with_its_text() -> None:
    case = Case(title="t", main=rlm.File(text="the text"))
    assert render([case]) == '[{"title": "t", "main": "the text"}]'


@pytest.mark.parametrize("given", [files("a"), {"a": files("b")[0]}, Folder(files("c"))])
def test_the_model_is_told_how_to_use_files_wherever_they_are(given: Any) -> None:
    lm = ScriptedLM([DONE])
    rlm.predict("docs -> answer", input={"docs": given}, model=lm, sandbox="local")
    assert "`f.search(pattern)`" in lm.requests[0].messages[0].content


def test_a_forged_reference_ends_the_session_and_nothing_else() -> None:
    forge = "docs[0]._ref = 'place:#7'\nllm_query('q', context=docs[0])"
    lm = ScriptedLM([f"```repl\n{forge}\n```", "```repl\nprint(docs[1].text)\n```", DONE])
    result = rlm.predict("docs -> answer", input={"docs": files("a", "beta")}, model=lm)
    first, second = (turn.execution for turn in result.turns()[:2])
    assert first is not None and first.error is not None and first.error.type == "SessionLost"
    assert second is not None and (second.stdout, result.ok) == ("beta\n", True)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_one_file_at_two_places_is_one_object_in_cells(sandbox: str, tmp_path: Path) -> None:
    path = tmp_path / "doc.txt"
    path.write_text("text", encoding="utf-8")
    file = rlm.File(path)
    result, _ = run(sandbox, [file, file], "print(docs[0] is docs[1], docs[1].text)")
    assert printed(result) == "True text\n"
    assert read(result) == [("0", "docs[0]", 4)]
