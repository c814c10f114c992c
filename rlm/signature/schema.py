"""JSON schemas of fields, for structured output and for the trace."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from rlm.signature.coerce import adapter
from rlm.signature.field import Field
from rlm.signature.output import plain

__all__ = ["object_schema"]


class _Schemas(GenerateJsonSchema):
    """Leaves out the schema of what has none, such as a File."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def object_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the JSON schema of an object with these fields and no others."""
    asked = [(each.name, "validation", adapter(each.annotation)) for each in fields]
    found, shared = TypeAdapter.json_schemas(asked, schema_generator=_Schemas)  # type: ignore[arg-type] # str for Literal
    properties: dict[str, Any] = {}
    for each in fields:
        schema = dict(found[each.name, "validation"])
        if each.description:
            schema["description"] = each.description
        if not each.required:
            schema["default"] = plain(each.default)
        properties[each.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": [each.name for each in fields if each.required],
        "additionalProperties": False,
        **({"$defs": shared["$defs"]} if "$defs" in shared else {}),
    }
