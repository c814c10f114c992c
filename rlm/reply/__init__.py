"""The action language: what a model's reply asks for, in three spellings."""

from __future__ import annotations

from rlm.errors import ParseError
from rlm.reply.actions import Action, Dialect, Exec, Final
from rlm.reply.parser import parse

__all__ = ["Action", "Dialect", "Exec", "Final", "ParseError", "parse"]
