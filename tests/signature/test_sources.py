from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import pydantic
import pytest

from rlm.errors import ConfigurationError, ValidationFailed
from rlm.files import File
from rlm.signature import Field, InputField, OutputField, Signature


class Question(pydantic.BaseModel):
    question: str = pydantic.Field(description="what is asked")
    limit: int = 5


class Line(pydantic.BaseModel):
    item: str
    price: Decimal


class Invoice(pydantic.BaseModel):
    """Read the invoice."""

    number: str = pydantic.Field(description="as printed")
    total: Annotated[Decimal, pydantic.Field(ge=0)]
    lines: list[Line] = []

    @pydantic.model_validator(mode="after")
    def adds_up(self) -> Invoice:
        if self.lines and sum(line.price for line in self.lines) != self.total:
            raise ValueError("the lines do not add up to the total")
        return self


class Review(Signature):
    """Judge a review."""

    text: str = InputField("the review")
    stars: int = OutputField("from 1 to 5")
    reason: str = OutputField(default="")


def test_a_class_with_marked_fields() -> None:
    signature = Signature.parse(Review)
    assert signature.name == "Review"
    assert signature.instructions == "Judge a review."
    assert signature.inputs == (Field("text", str, "the review"),)
    assert signature.outputs == (Field("stars", int, "from 1 to 5"), Field("reason", str, "", ""))
    assert signature.coerce({"stars": 4}).reason == ""


def test_a_marked_class_needs_no_base_and_inherits() -> None:
    class Base:
        text: File = InputField()

    class Total(Base):
        total: Decimal = OutputField()

    signature = Signature.parse(Total)
    assert [f.name for f in signature.inputs] == ["text"]
    assert [f.annotation for f in signature.outputs] == [Decimal]


def test_a_marked_class_with_an_unmarked_field_says_so() -> None:
    class Half:
        text: str = InputField()
        total: int

    with pytest.raises(ConfigurationError, match=r"Half\.total is neither input nor output"):
        Signature.parse(Half)


def test_a_pair_of_models() -> None:
    signature = Signature.parse((Question, Invoice))
    assert signature.inputs[0] == Field("question", str, "what is asked")
    assert signature.inputs[1].default == 5
    assert [f.name for f in signature.outputs] == ["number", "total", "lines"]
    assert signature.instructions == "Read the invoice."
    assert signature.check_inputs({"question": "?"}) == {"question": "?", "limit": 5}


def test_a_model_alone_is_the_outputs_and_its_own_validators_run() -> None:
    signature = Signature.parse(Invoice)
    good = signature.coerce(
        {"number": 7, "total": "$1,234.50", "lines": [{"Item": "a", "price": "1234.50"}]}
    )
    assert (good.number, good.total, good.lines[0].price) == ("7", Decimal("1234.50"), good.total)
    with pytest.raises(ValidationFailed, match="do not add up"):
        signature.coerce({"number": "7", "total": 1, "lines": [{"item": "a", "price": 2}]})
    with pytest.raises(ValidationFailed, match=r"total: -1 is not Decimal.*greater than or equal"):
        signature.coerce({"number": "7", "total": -1})
    assert signature.coerce(Invoice(number="1", total=Decimal(2))).total == 2


def test_a_model_with_aliases_is_filled_by_name() -> None:
    class Aliased(pydantic.BaseModel):
        page_count: int = pydantic.Field(alias="pageCount")

    assert Signature.parse(Aliased).coerce({"page_count": "3"}).page_count == 3


def test_dataclasses_typed_dicts_and_named_tuples_are_outputs() -> None:
    @dataclass
    class Point:
        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list)

    class Pair(NamedTuple):
        a: int
        b: str = "b"

    class Record(TypedDict):
        a: int
        b: NotRequired[str]

    assert Signature.parse(Point).coerce({"x": "1"}) == {"x": 1, "y": 2, "tags": []}
    assert Signature.parse(Point).instructions == ""
    assert Signature.parse(Pair).coerce(Pair(1)) == {"a": 1, "b": "b"}
    assert Signature.parse(Record).coerce({"a": 1}) == {"a": 1, "b": None}


def dspy_field(annotation: Any, **extra: str) -> pydantic.fields.FieldInfo:
    info = pydantic.Field(json_schema_extra=dict(extra))
    assert isinstance(info, pydantic.fields.FieldInfo)
    info.annotation = annotation
    return info


class DspyLike:
    """Shaped as a DSPy signature class is."""

    instructions = "Answer from the text."
    input_fields = {
        "text": dspy_field(str, desc="where to look", prefix="Text:"),
        "page_size": dspy_field(int, desc="${page_size}", prefix="Page Size:"),
    }
    output_fields = {"answer_text": dspy_field(str, desc="short"), "pages": dspy_field(list[int])}


def test_rb13_a_dspy_signature_is_read_by_its_fields() -> None:
    signature = Signature.parse(DspyLike)
    assert signature.name == "DspyLike"
    assert signature.instructions == "Answer from the text."
    assert signature.inputs == (Field("text", str, "where to look"), Field("page_size", int))
    assert signature.outputs == (Field("answer_text", str, "short"), Field("pages", list[int]))


@pytest.mark.parametrize("key", ["Answer Text", "answer-text", "answerText", "ANSWER_TEXT"])
def test_rb13_parsed_keys_are_mapped_to_the_names_of_the_schema(key: str) -> None:
    assert Signature.parse(DspyLike).coerce({key: "x", "pages": []}).answer_text == "x"


class Protocol:
    """A signature as RLM.rb has them."""

    name = "Totals"
    description = "Add up the invoice."
    input_fields = {"invoice": "file", "currency": {"type": "string", "description": "ISO 4217"}}
    output_fields = {"total": int}

    def validate_input(self, given: Mapping[str, Any]) -> list[str]:
        return [] if given["currency"].isupper() else ["currency must be in capitals"]

    def validate_output(self, made: Mapping[str, Any]) -> list[str]:
        return ["total must be positive"] if made["total"] < 0 else []


class Coercing(Protocol):
    def coerce_output(self, value: Any) -> Any:
        return {"total": value["sum"]}


def test_rb12_anything_with_the_protocol_is_a_signature() -> None:
    signature = Signature.parse(Protocol())
    assert (signature.name, signature.instructions) == ("Totals", "Add up the invoice.")
    assert signature.inputs == (Field("invoice", File), Field("currency", str, "ISO 4217"))
    given = {"invoice": File(text="x"), "currency": "EUR"}
    assert signature.check_inputs(given) == given
    with pytest.raises(ConfigurationError, match="currency must be in capitals"):
        signature.check_inputs({**given, "currency": "eur"})
    assert signature.coerce({"total": "3"}).total == 3
    with pytest.raises(ValidationFailed, match="total must be positive"):
        signature.coerce({"total": -3})


def test_rb12_coerce_output_is_used_where_there_is_one() -> None:
    signature = Signature.parse(Coercing())
    output = signature.coerce({"sum": 5})
    assert output.total == 5
    assert signature.restore(signature.dump(output)) == output
    with pytest.raises(ValidationFailed, match="coerce_output: KeyError: 'sum'"):
        signature.coerce({"total": 5})


def test_rb12_fields_may_be_a_list_of_objects() -> None:
    class Spec(NamedTuple):
        name: str
        type: Any
        description: str = ""

    class Listed(Protocol):
        input_fields = [Spec("a", ":string", "x"), "b"]  # type: ignore[assignment] # another shape
        output_fields = [Spec("total", ":integer")]  # type: ignore[assignment] # likewise

    signature = Signature.parse(Listed())
    assert signature.inputs == (Field("a", str, "x"), Field("b"))
    assert signature.outputs == (Field("total", int),)


@pytest.mark.parametrize(
    "source", [7, None, object(), int, (Question, 3), [Question], {}, Signature]
)
def test_what_is_no_signature_is_named(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no signature; that is a text"):
        Signature.parse(source)
