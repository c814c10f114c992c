"""The caller's own checks of an output, after its types are right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rlm.errors import ValidationFailed
from rlm.signature.output import Output

__all__ = ["Validator", "validate"]

Validator = Callable[[Output], Any]
"""Takes the output; returns `None` or `True` when it is right, a sentence, several, or `False`
when it is not. ValueError and AssertionError count as a sentence; other exceptions are a defect
of the validator and pass through."""


def validate(output: Output, validators: Iterable[Validator]) -> Output:
    """Return the output when every validator agrees; raise ValidationFailed with all they say."""
    problems = [problem for check in validators for problem in _problems(output, check)]
    if problems:
        raise ValidationFailed(problems)
    return output


def _problems(output: Output, check: Validator) -> list[str]:
    name = getattr(check, "__name__", type(check).__name__)
    try:
        said = check(output)
    except (ValueError, AssertionError) as error:
        return [str(error) or f"{name} refused the output"]
    if said is None or said is True:
        return []
    if said is False:
        return [f"{name} refused the output"]
    return [said] if isinstance(said, str) else [str(each) for each in said]
