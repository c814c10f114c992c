"""How many tokens a text has: a bound that is cheap, an estimate to show, a count that is exact."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rlm.lm.base import Message

__all__ = [
    "acount",
    "acount_messages",
    "bound",
    "bound_messages",
    "count",
    "estimate",
    "estimate_messages",
    "is_exact",
]

MESSAGE_OVERHEAD = 16
"""Tokens that a message's frame may take: more than any published chat template needs."""

# tiktoken names a cached encoding by the SHA-1 of its address, and fetches the address when the
# file is missing or its SHA-256 is another: both are looked at before tiktoken is.
_ENCODINGS = {
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}
_O200K = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4")
_CL100K = ("gpt-4", "gpt-3.5")
_lock = threading.Lock()
_loaded: dict[str, Any] = {}


def bound(text: str) -> int:
    """Return a number of tokens that no text of this kind exceeds: its length in UTF-8 bytes.

    True of every tokenizer that works on bytes and has all 256 of them, which is every one in
    use; ASCII is not encoded to be measured.
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def bound_messages(messages: Iterable[Message]) -> int:
    """Return a number of tokens that a transcript does not exceed, with its framing."""
    return MESSAGE_OVERHEAD + sum(bound(m.content) + MESSAGE_OVERHEAD for m in messages)


def estimate(text: str) -> int:
    """Return about how many tokens a text has, to show to a person: four bytes are one."""
    return -(-bound(text) // 4)


def estimate_messages(messages: Iterable[Message]) -> int:
    """Return about how many tokens a transcript has, with its framing."""
    return MESSAGE_OVERHEAD + sum(estimate(m.content) + MESSAGE_OVERHEAD for m in messages)


def is_exact(model: str) -> bool:
    """Tell whether `count` is the model's own tokenizer or another's, which may be a fifth off."""
    return _known(model) is not None


def count(text: str, model: str) -> int | None:
    """Return the tokens of a text, or None where the encoding is not on this machine.

    Exact for OpenAI's models; for any other it is what `o200k_base` makes of the text, which real
    tokenizers exceed by up to a fifth or so in English and more elsewhere: leave a margin. The
    first count loads the encoding for half a second: call `acount` on a loop.
    """
    encoding = _encoding(_known(model) or "o200k_base")
    if encoding is None:
        return None
    clean = text.encode("utf-8", "replace").decode("utf-8")  # tiktoken refuses lone surrogates
    return len(encoding.encode_ordinary(clean))


async def acount(text: str, model: str) -> int | None:
    """Return what `count` does, from a thread."""
    return await asyncio.to_thread(count, text, model)


async def acount_messages(messages: Iterable[Message], model: str) -> int | None:
    """Return a number of tokens that a transcript hardly exceeds, nearer than `bound_messages`.

    A count with the framing; with a quarter more where the tokenizer is not the model's own.
    """
    held = list(messages)
    counted = await acount("\n".join(m.content for m in held), model)
    if counted is None:
        return None
    margin = 0 if is_exact(model) else counted // 4
    return counted + margin + MESSAGE_OVERHEAD * (len(held) + 1)


def _known(model: str) -> str | None:
    bare = model.removeprefix("openai/").removeprefix("azure/")
    if bare.startswith(_O200K):
        return "o200k_base"
    return "cl100k_base" if bare.startswith(_CL100K) else None


def _encoding(name: str) -> Any:
    """Return an encoding, loaded once a process; None when its file is missing or damaged."""
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load(name)
        return _loaded[name]


def _load(name: str) -> Any:
    folder = _folder()
    if folder is None or find_spec("tiktoken") is None:
        return None
    file, digest = _ENCODINGS[name]
    path = folder / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        return None
    import tiktoken

    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _folder() -> Path | None:
    # of the package alone: looking for a submodule would import its parent
    spec = find_spec("litellm")
    for place in (spec and spec.submodule_search_locations) or ():
        return Path(place) / "litellm_core_utils" / "tokenizers"
    return None
