from __future__ import annotations

import copy
import enum
import json
import pickle
from datetime import date
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from rlm.signature import Output, plain


def test_an_output_is_a_mapping_and_has_attributes() -> None:
    output = Output(answer="x", pages=[1])
    assert output.answer == output["answer"] == "x"
    assert dict(output) == {"answer": "x", "pages": [1]} == output
    assert (lambda **given: given)(**output) == output
    assert repr(output) == "Output(answer='x', pages=[1])"
    assert "pages" in dir(output)
    match output:
        case {"answer": found}:
            assert found == "x"


def test_an_output_cannot_be_changed() -> None:
    output = Output(answer="x")
    with pytest.raises(AttributeError, match="immutable"):
        output.answer = "y"
    with pytest.raises(AttributeError, match="immutable"):
        del output.answer
    assert output.answer == "x"


def test_an_unknown_field_suggests_a_near_one() -> None:
    with pytest.raises(AttributeError, match="no field 'anwser'; did you mean 'answer'"):
        _ = Output(answer="x").anwser
    with pytest.raises(KeyError):
        Output(answer="x")["z"]


def test_fields_that_are_called_as_methods_are_items() -> None:
    output = Output({"items": [1], "keys": 2, "to_json": 3, "self": 4})
    assert (output["items"], output["keys"], output["self"]) == ([1], 2, 4)
    assert list(output.keys()) == ["items", "keys", "to_json", "self"]


def test_an_output_survives_copying_and_pickling() -> None:
    output = Output(answer=[1])
    assert (
        copy.deepcopy(output) == copy.copy(output) == pickle.loads(pickle.dumps(output)) == output
    )


def test_plain_values_are_json() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Line(pydantic.BaseModel):
        price: Decimal

    given: dict[str, Any] = {
        "model": Line(price=Decimal("1.50")),
        "day": date(2024, 1, 31),
        "raw": b"\xff",
        "set": {"b", "a"},
        "colour": Colour.RED,
        "tuple": (1, None, True),
        "keys": {1: "one"},
        "nan": float("nan"),
    }
    made = Output(given).to_json()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made == {
        "model": {"price": "1.50"},
        "day": "2024-01-31",
        "raw": {"$bytes": "/w=="},
        "set": ["a", "b"],
        "colour": "red",
        "tuple": [1, None, True],
        "keys": {"1": "one"},
        "nan": "nan",
    }
    assert isinstance(plain(object()), str)
