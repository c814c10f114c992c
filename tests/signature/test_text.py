from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Optional

import pytest
from fuzz.watchdog import watched
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import ConfigurationError
from rlm.files import File
from rlm.signature import Field, Signature, parse_type, type_text


def test_a_line_of_text_is_a_signature() -> None:
    signature = Signature.parse("report, question -> answer: str, pages: list[int]")
    assert signature.inputs == (Field("report"), Field("question"))
    assert signature.outputs == (Field("answer", str), Field("pages", list[int]))
    assert signature.name == "report, question -> answer, pages"


def test_an_output_without_a_type_is_text_and_an_input_without_one_anything() -> None:
    signature = Signature.parse("question -> answer")
    assert signature.inputs[0].annotation is Any
    assert signature.outputs[0].annotation is str


def test_a_signature_may_have_no_inputs() -> None:
    assert Signature.parse("-> joke: str").inputs == ()


def test_descriptions_defaults_and_instructions_are_read() -> None:
    signature = Signature.parse(
        """
        report: File,  # the annual report
        limit: int = 10,
        ->
        kind: Literal["a->b", "c, d"],  # which of the two,
                                        # "quoted" or not
        total: Decimal | None

        Read with care.

          - an item -> indented
        """
    )
    report, limit = signature.inputs
    kind, total = signature.outputs
    assert (report.annotation, report.description) == (File, "the annual report")
    assert (limit.default, limit.required) == (10, False)
    assert kind.annotation == Literal["a->b", "c, d"]
    assert kind.description == 'which of the two, "quoted" or not'
    assert (total.default, total.required) == (None, False)
    assert signature.instructions == "Read with care.\n\n  - an item -> indented"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("str", str),
        ("float", float),
        ("bytes", bytes),
        ("dict[str, int]", dict[str, int]),
        ("Dict[str, List[int]]", dict[str, list[int]]),
        ("tuple[int, ...]", tuple[int, ...]),
        ("tuple[int, str]", tuple[int, str]),
        ("set[date]", set[date]),
        ("Optional[int]", Optional[int]),  # noqa: UP045 - that spelling is tested
        ("typing.Union[int, str]", int | str),
        ("int | None", int | None),
        (" | ".join(["int", "str"] * 200), int | str),
        ("datetime.datetime", datetime),
        ("Decimal", Decimal),
        ("Literal['a', 1, -2, None]", Literal["a", 1, -2, None]),
        ("list[Literal['a]', 'b,c']]", list[Literal["a]", "b,c"]]),
        ("Any", Any),
    ],
)
def test_the_usual_types_are_understood(text: str, meant: Any) -> None:
    assert parse_type(text) == meant


@pytest.mark.parametrize(("name", "meant"), [("file", File), ("integer", int), ("string", str)])
def test_rb14_field_types_by_their_json_names(name: str, meant: Any) -> None:
    assert Signature.parse(f"x: {name} -> y").inputs[0].annotation is meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("What is it?", r"'What is it\?' is no signature: it has no '->'"),
        ("a -> b -> c", "one '->'"),
        ("a -> b: lst[int]", "field 'b': unknown type 'lst'; did you mean 'list'"),
        ("a -> b: Frobnicator", "unknown type 'Frobnicator'; known are: str"),
        ("a ->", "needs an output field"),
        ("a, a -> b", "a field twice: a"),
        ("a -> a", "a field twice: a"),
        ("class -> b", "'class' is a Python keyword"),
        ("_a -> b", "starts with '_'"),
        ("a -> b: list[int, str]", r"list\[…\] takes one type"),
        ("a -> b: dict[str]", r"dict\[…\] takes two types"),
        ("a -> b: int[str]", "int takes no brackets"),
        ("a -> b: Literal", "Literal needs brackets"),
        ("a -> b: Literal[x]", "plain values"),
        ("a -> b: print('x')", "is not a type"),
        ("a -> b: __import__('os').system", "is not a type"),
        ("a: int = f() -> b", "is no plain value"),
        ("a): pass\ndef g(b -> c", "is no list of fields"),
        ("*a -> c", "cannot be read"),
        ("a, **b -> c", "is no list of fields"),
        ("a -> c: File", "can only be an input"),
        ("a -> b: " + "list[" * 150, "cannot be read"),
        ("a -> b: " + "list[" * 90 + "int" + "]" * 90, "nested deeper than 20"),
        ("a -> b: x" + ".y" * 4000, "cannot be read|is not a type"),
        ("a -> b" * 100_000, "has at most"),
    ],
)
def test_what_cannot_be_read_is_quoted(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Signature.parse(text)


def test_an_error_points_at_the_place() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Signature.parse("report, the question -> answer")
    line, caret = str(caught.value).split("\n")[-2:]
    assert line[caret.index("^") :].startswith(("question", "the"))


PLAIN = st.sampled_from(
    [str, int, float, bool, bytes, date, datetime, Decimal, File, Any, Literal["a, b]", 3], dict]
)
TYPES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        inner.map(lambda t: list[t]),  # type: ignore[valid-type] # types are values here
        inner.map(lambda t: tuple[t, ...]),  # type: ignore[valid-type] # likewise
        inner.map(lambda t: dict[str, t]),  # type: ignore[valid-type] # likewise
        inner.map(lambda t: t | None if t is not Any else t),
    ),
    max_leaves=4,
)
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}x", fullmatch=True)


@given(TYPES)
def test_the_text_of_a_type_reads_back(annotation: Any) -> None:
    assert parse_type(type_text(annotation)) == annotation


@given(
    st.lists(NAMES, min_size=1, max_size=6, unique=True),
    st.lists(TYPES.filter(lambda t: t is not File), min_size=6, max_size=6),
    st.lists(st.text(max_size=20), min_size=6, max_size=6),
    st.text(max_size=60),
)
def test_the_text_of_a_signature_reads_back(
    names: list[str], types: list[Any], descriptions: list[str], instructions: str
) -> None:
    fields = [Field(n, t, d) for n, t, d in zip(names, types, descriptions, strict=False)]
    cut = len(fields) // 2
    signature = Signature("", instructions, tuple(fields[:cut]), tuple(fields[cut:]))
    assert Signature.parse(signature.text) == signature


@given(st.text(max_size=80))
def test_any_text_is_a_signature_or_a_configuration_error(text: str) -> None:
    for attempt in (text, f"a -> {text}", f"a: {text} -> b", f"a -> b: {text}"):
        try:
            signature = Signature.parse(attempt)
        except ConfigurationError:
            continue
        assert Signature.parse(signature.text) == signature


def test_a_signature_of_quotes_is_looked_at_once() -> None:
    for quotes in ('"' + '\\"' * 49_000, "'\\'" * 30_000, "\"'" * 49_000, '"' * 99_000):
        with watched(10), pytest.raises(ConfigurationError):
            Signature.parse(f"{quotes} -> x")


def test_fields_have_a_length_and_instructions_a_longer_one() -> None:
    with pytest.raises(ConfigurationError, match="at most 10,000 characters, not 12,"):
        Signature.parse(", ".join(f"field_{n}" for n in range(1_000, 2_000)) + " -> x")
    assert len(Signature.parse("a -> b\n\n" + "word " * 10_000).instructions) > 40_000


def test_types_have_so_many_parts() -> None:
    with pytest.raises(ConfigurationError, match=r"at most 200 '\[' and '\|', not 300"):
        Signature.parse("a: " + "dict[str, int] | list[int]" * 100 + " -> b")
    with pytest.raises(ConfigurationError, match="at most 10 alternatives, not 11"):
        Signature.parse("a: " + " | ".join(f"Literal[{number}]" for number in range(11)) + " -> b")


def test_comments_belong_to_the_field_before_them() -> None:
    signature = Signature.parse("a, b,  # of b\n  # and more\nc -> x  # of x")
    told = {field.name: field.description for field in signature.inputs}
    assert told == {"a": "", "b": "of b and more", "c": ""}
    assert signature.outputs[0].description == "of x"


@pytest.mark.parametrize("text", ["a 'b -> c -> d", "it's -> b", 'a: Literal["x -> c'])
def test_a_quote_without_an_end_hides_no_arrow(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"one '->'|cannot be read"):
        Signature.parse(text)
