"""Signatures: the typed contract of a call, however it was written."""

from rlm.signature.base import Signature
from rlm.signature.field import REQUIRED, Field, InputField, OutputField
from rlm.signature.manifest import manifest
from rlm.signature.output import Output, plain
from rlm.signature.types import parse_type, type_text
from rlm.signature.validators import Validator, validate

__all__ = [
    "REQUIRED",
    "Field",
    "InputField",
    "Output",
    "OutputField",
    "Signature",
    "Validator",
    "manifest",
    "parse_type",
    "plain",
    "type_text",
    "validate",
]
