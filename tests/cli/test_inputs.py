from __future__ import annotations

import io
from pathlib import Path

import pytest

from rlm.cli.inputs import Task, read_task
from rlm.errors import ConfigurationError
from rlm.files import File
from rlm.signature import Signature


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("report.txt", "Annual notes (2).md", "2024.txt"):
        (tmp_path / name).write_text(f"in {name}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def task(
    question: str | None = "Who?",
    *files: str,
    values: tuple[str, ...] = (),
    signature: str | None = None,
    instructions: str | None = None,
) -> Task:
    return read_task(question, files, values, signature, instructions)


def contract(made: Task) -> Signature:
    return Signature.parse(made.signature)


def test_one_file_is_the_context_and_the_question_is_the_task(files: Path) -> None:
    made = task("Who?", "report.txt")
    assert [f.name for f in contract(made).inputs] == ["context"]
    assert isinstance(made.inputs["context"], File)
    assert made.inputs["context"].text == "in report.txt"
    assert made.instructions == "Who?"


def test_several_files_are_named_after_themselves(files: Path) -> None:
    made = task("Who?", "report.txt", "Annual notes (2).md", "2024.txt")
    assert list(made.inputs) == ["report", "Annual_notes_2", "file_2024"]


def test_a_file_can_be_given_its_name(files: Path) -> None:
    assert list(task("Who?", "old=report.txt", "2024.txt").inputs) == ["old", "context"]


def test_an_equals_sign_in_a_files_own_name_names_nothing(files: Path) -> None:
    (files / "a=b.txt").write_text("x", encoding="utf-8")
    assert list(task("Who?", "a=b.txt").inputs) == ["context"]


def test_with_a_signature_files_fill_its_inputs_in_order(files: Path) -> None:
    made = task(None, "report.txt", "2024.txt", signature="a, b -> same: bool")
    assert {name: value.name for name, value in made.inputs.items()} == {
        "a": "report.txt",
        "b": "2024.txt",
    }


def test_the_question_is_an_input_where_the_signature_has_one(files: Path) -> None:
    made = task("Who?", "report.txt", signature="report, question -> answer")
    assert made.inputs["question"] == "Who?"
    assert made.inputs["report"].name == "report.txt"


def test_the_question_is_the_instructions_where_the_signature_has_no_such_input(
    files: Path,
) -> None:
    made = task("Find tables.", "report.txt", signature="r -> n: int", instructions="Be exact.")
    assert contract(made).instructions == "Find tables.\n\nBe exact."


def test_values_are_converted_to_the_types_of_the_signature(files: Path) -> None:
    made = task(
        None, "report.txt", values=("count=3", "tags=[1,2]"),
        signature="count: int, tags: list[int], text -> answer",
    )  # fmt: skip
    checked = contract(made).check_inputs(made.inputs)
    assert (checked["count"], checked["tags"]) == (3, [1, 2])


def test_rr65_the_question_comes_from_stdin_when_it_is_no_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Wer unterschrieb? é\n".encode())))
    assert task(None).instructions == "Wer unterschrieb? é"


def test_a_dash_is_the_data_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"line\xff\n" * 3)))
    made = task("Who?", "-")
    assert made.inputs["context"].bytes == b"line\xff\n" * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"question": None, "files": ["-"]}, "stdin cannot be both"),
        ({"files": ["missing.txt"]}, "missing.txt"),
        ({"values": ["nonsense"]}, "'nonsense' is not of the form -i name=value"),
        ({"values": ["a=1", "a=2"]}, "'a' is given twice"),
        ({"files": ["report.txt"], "signature": "-> answer"}, "no input left for 'report.txt'"),
        ({"files": ["a=report.txt", "a=2024.txt"]}, "same name"),
        ({"files": ["report.txt"], "values": ["context=x"]}, "two inputs would be named 'context'"),
        ({"question": "  "}, "the question is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_name(
    files: Path, arguments: dict[str, object], said: str
) -> None:
    given: dict[str, object] = {
        "question": "Who?", "files": [], "values": [], "signature": None, "instructions": None,
        **arguments,
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=said.replace("'", ".")):
        read_task(**given)  # type: ignore[arg-type] # built by the table above
