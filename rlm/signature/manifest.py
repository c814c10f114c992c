"""What the inputs of a call are, without what they hold and without where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

from rlm.files import File

__all__ = ["manifest"]


def manifest(inputs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Describe inputs for a prompt or a log: type and length, of files name, content type, bytes.

    No content and no path of the host is in it, so that it may be shown to generated code.
    """
    return {name: _described(value) for name, value in inputs.items()}


def _described(value: Any) -> dict[str, Any]:
    if isinstance(value, File):
        facts = {"name": value.name, "content_type": value.content_type, "bytes": value.size}
        return {"type": "File", **facts}
    made: dict[str, Any] = {"type": type(value).__name__}
    if isinstance(value, Sized):
        made["length"] = len(value)
    files = [_described(item) for item in _items(value) if isinstance(item, File)]
    return {**made, "files": files} if files else made


def _items(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
