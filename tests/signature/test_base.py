from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from rlm.errors import ConfigurationError, ValidationFailed
from rlm.files import File
from rlm.signature import Field, Output, Signature, manifest, validate

SIGNATURE = Signature.parse(
    "report, question: str, limit: int = 5"
    " -> answer: str, total: Decimal | None, kind: Literal['a']"
)


def test_instructions_are_replaced_in_a_copy() -> None:
    asked = Signature.parse("a -> b", instructions="Do it.")
    assert asked.instructions == "Do it."
    assert asked.with_instructions("Or not.").instructions == "Or not."
    assert asked == Signature.parse("a -> b\n\nDo it.")
    assert Signature.parse(asked) is asked


def test_inputs_are_kept_as_given_with_defaults() -> None:
    report, words = object(), ["x"] * 1000
    checked = SIGNATURE.check_inputs({"question": "?", "report": report})
    assert checked == {"report": report, "question": "?", "limit": 5}
    assert list(checked) == ["report", "question", "limit"]
    assert (
        Signature.parse("words: list[str] -> n: int").check_inputs({"words": words})["words"]
        is words
    )


def test_inputs_may_be_a_record_or_one_bare_value() -> None:
    class Asked(pydantic.BaseModel):
        question: str = "?"
        report: int = 1

    expected = {"report": 1, "question": "?", "limit": 5}
    assert SIGNATURE.check_inputs(Asked()) == expected
    assert Signature.parse("question -> answer").check_inputs("?") == {"question": "?"}
    with pytest.raises(ConfigurationError, match=r"by name \(report, question, limit\)"):
        SIGNATURE.check_inputs("?")


def test_inputs_that_do_not_fit_are_all_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SIGNATURE.check_inputs({"raport": 1, "question": 3, "limit": "many"})
    message = str(caught.value)
    assert "no input 'raport'; did you mean 'report'?" in message
    assert "input 'report' (Any) is missing" in message
    assert "limit: 'many' is not int" in message


def test_a_text_for_a_file_says_what_to_write() -> None:
    signature = Signature.parse("report: File, note: str -> answer")
    with pytest.raises(ConfigurationError, match=r"rlm\.File\(path\) or rlm\.File\(text"):
        signature.check_inputs({"report": "some text", "note": "x"})
    with pytest.raises(ConfigurationError, match="declare it as File"):
        signature.check_inputs({"report": File(text="x"), "note": File(text="x")})


def test_the_json_schema_is_one_closed_object() -> None:
    class Line(pydantic.BaseModel):
        item: str

    fields = (
        Field("lines", list[Line], "all of them"),
        Field("n", int | None),
        Field("last", Line),
    )
    schema = Signature("s", "", (Field("f", File),), fields).json_schema()
    assert (schema["type"], schema["required"]) == ("object", ["lines", "last"])
    assert schema["additionalProperties"] is False
    assert schema["properties"]["lines"]["description"] == "all of them"
    assert schema["properties"]["lines"]["items"] == {"$ref": "#/$defs/Line"}
    assert list(schema["$defs"]) == ["Line"]


def test_a_recorded_signature_reads_back() -> None:
    assert Signature.from_json(SIGNATURE.to_json()) == SIGNATURE
    file = Signature.parse(
        "report: File  # big\n-> answer: list[dict[str, int]]  # small\n\nDo it."
    )
    assert Signature.from_json(file.to_json()) == file


def test_a_type_of_ones_own_is_recorded_as_text_and_reads_back_as_any() -> None:
    class Line(pydantic.BaseModel):
        item: str
        price: Decimal

    signature = Signature("s", "", (), (Field("lines", list[Line]),))
    assert signature.outputs[0].type_text == "list[Line(item: str, price: Decimal)]"
    assert Signature.from_json(signature.to_json()).outputs == (Field("lines"),)


@pytest.mark.parametrize(
    "record", [{}, {"name": "x"}, {"name": "x", "instructions": "", "inputs": 3}]
)
def test_what_is_no_record_is_named(record: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no recorded signature"):
        Signature.from_json(record)


def test_validators_say_no_in_many_ways() -> None:
    output = Output(total=3)

    def broken(_: Output) -> None:
        raise ValueError("too small")

    def picky(_: Output) -> bool:
        return False

    with pytest.raises(ValidationFailed) as caught:
        validate(output, [broken, picky, lambda o: "no", lambda o: ["a", "b"], lambda o: True])
    assert caught.value.problems == ["too small", "picky refused the output", "no", "a", "b"]
    assert validate(output, [lambda o: None, lambda o: True, lambda o: []]) is output


def test_a_defect_of_a_validator_is_not_the_models_fault() -> None:
    with pytest.raises(KeyError):
        validate(Output(total=3), [lambda o: o["z"]])


def test_rb36_a_manifest_shows_what_inputs_are_and_no_place_or_content(tmp_path: Any) -> None:
    path = tmp_path / "secret-folder.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    made = manifest(
        {"report": File(path), "all": [File(text="x", name="y.txt")], "n": 3, "t": "abc"}
    )
    assert made == {
        "report": {
            "type": "File",
            "name": "secret-folder.csv",
            "content_type": "text/csv",
            "bytes": 8,
        },
        "all": {
            "type": "list",
            "length": 1,
            "files": [{"type": "File", "name": "y.txt", "content_type": "text/plain", "bytes": 1}],
        },
        "n": {"type": "int"},
        "t": {"type": "str", "length": 3},
    }
    assert str(tmp_path) not in str(made)


def test_lesson_48_a_signature_needs_nothing_heavy() -> None:
    heavy = "litellm google docker tiktoken rich typer aiohttp asyncio hypothesis numpy pandas"
    code = f"import sys, rlm.signature; print([m for m in {heavy.split()!r} if m in sys.modules])"
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert made.stdout.strip() == "[]"
