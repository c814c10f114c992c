"""What the language of a fence means here."""

from __future__ import annotations

import re

__all__ = ["kind_of"]

_LANGUAGES = {
    "code": "repl python py python3 py3 ipython ipython3 pycon python-repl pyrepl rlm rlm-code "
    "code exec tool_code",
    "final": "final answer final_answer final-answer rlm-final",
    "json": "json jsonc json5 jsonl",
    "prose": "text txt plaintext plain markdown md xml html output result results stdout log csv "
    "tsv yaml yml toml none",
}
_KINDS = {word: kind for kind, words in _LANGUAGES.items() for word in words.split()}


def kind_of(info: str) -> tuple[str, str]:
    """Return what the language of a fence means here, and what else stands on its line."""
    found = re.match(r"[{.\s]*([\w+#-]*)[}\s:]*", info)
    word = found[1].lower() if found else ""
    rest = info[found.end() :].strip() if found else ""
    return _KINDS.get(word, word), rest
