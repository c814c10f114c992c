"""Every text that a model is sent: descriptions, openings, observations, remarks, queries."""

from __future__ import annotations

from rlm.prompt.describe import describe
from rlm.prompt.dialect import Dialect
from rlm.prompt.observation import OBSERVATION_EXTRA, observation, shown_chars
from rlm.prompt.opening import Opening, opening
from rlm.prompt.query import query, render, typed_query
from rlm.prompt.remarks import last_request, notice, refusal, repair

__all__ = [
    "OBSERVATION_EXTRA",
    "Dialect",
    "Opening",
    "describe",
    "last_request",
    "notice",
    "observation",
    "opening",
    "query",
    "refusal",
    "render",
    "repair",
    "shown_chars",
    "typed_query",
]
