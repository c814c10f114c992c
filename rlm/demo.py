"""The demo: two questions over 50 MB of this machine's own library, by the embedded model."""

from __future__ import annotations

import hashlib
import os
import platform
import random
import sysconfig
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm.files import File

if TYPE_CHECKING:
    from rlm.result import Result
    from rlm.trace import Sink

__all__ = ["Haystack", "build", "run_demo"]

MEGABYTE = 1024 * 1024
NEEDLE = "magic number is"
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__"}

Echo = Callable[[str], None]


@dataclass(frozen=True)
class Haystack:
    """Real text with one planted sentence, and what is true of it.

    The same Python, `seed` and `size_mb` give the same `text`, of which `sha256` is the hash;
    `sources` is the hash of the names and contents that it was made from. `raised` counts the
    words after "raise" at the starts of lines.
    """

    text: str
    seed: int
    size_mb: int
    files: int
    sha256: str
    sources: str
    needle: int
    needle_at: int
    raised: Mapping[str, int]

    @property
    def recipe(self) -> tuple[str, ...]:
        """What the log keeps, so that the text can be built again."""
        return (
            "demo",
            f"seed={self.seed}",
            f"size_mb={self.size_mb}",
            f"python={platform.python_version()}",
            f"sources=sha256:{self.sources}",
            f"text=sha256:{self.sha256}",
        )


def build(*, size_mb: int = 50, seed: int = 0) -> Haystack:
    """Make a text of at least `size_mb` MiB: every source of the library, shuffled, and again."""
    documents = sorted(_documents())
    chosen = random.Random(seed)
    parts = _repeated([f"# {name}\n\n{text}" for name, text in documents], size_mb, chosen)
    needle = chosen.randrange(1_000_000, 10_000_000)
    raised = _raised(parts)
    _plant(parts, f"The {NEEDLE} {needle}.\n", chosen)
    text = "\n".join(parts)
    sources = hashlib.sha256()
    for name, source in documents:
        sources.update(f"{name}\0{source}\0".encode())
    return Haystack(
        text=text,
        seed=seed,
        size_mb=size_mb,
        files=len(documents),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        sources=sources.hexdigest(),
        needle=needle,
        needle_at=text.index(f"The {NEEDLE} {needle}."),
        raised=raised,
    )


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _documents() -> Iterator[tuple[str, str]]:
    """Yield the name and text of each source and each topic of the documentation.

    A text with a character beyond Latin-1 would make the whole haystack two or four times as
    large in memory, and one with the sentence to be planted would answer the question.
    """
    for name, text in (*_sources(), *_topics()):
        if NEEDLE not in text and (text.isascii() or max(text) < "\u0100"):
            yield name, text


def _sources() -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(_library()):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for file in files:
            if file.endswith(".py"):
                path = Path(folder, file)
                name = path.relative_to(_library()).as_posix()
                yield name, path.read_text(encoding="utf-8", errors="replace")


def _topics() -> Iterator[tuple[str, str]]:
    from pydoc_data.topics import topics

    for name, text in topics.items():
        yield f"the Python reference, {name}", text


def _repeated(texts: list[str], size_mb: int, chosen: random.Random) -> list[str]:
    """Return the texts in a random order, round after round, until they are large enough."""
    parts: list[str] = []
    missing = size_mb * MEGABYTE
    while missing > 0:
        chosen.shuffle(texts)
        for text in texts:
            parts.append(text)
            missing -= len(text) + 1
            if missing < 0:
                break
    return parts


def _plant(parts: list[str], sentence: str, chosen: random.Random) -> None:
    """Put the sentence at the start of a random line of a random part."""
    place = chosen.randrange(len(parts))
    lines = parts[place].splitlines(keepends=True)
    lines.insert(chosen.randrange(len(lines) + 1), sentence)
    parts[place] = "".join(lines)


def _raised(parts: list[str]) -> Counter[str]:
    """Count the words after "raise" at the starts of lines, each different part once."""
    total: Counter[str] = Counter()
    for text, times in Counter(parts).items():
        for line in text.split("\n"):
            if line.lstrip(" \t").startswith(("raise ", "raise\t")):
                word = _leading_name(line.split(None, 1)[1]) if len(line.split()) > 1 else ""
                total[word] += times
    del total[""]
    return total


def _leading_name(text: str) -> str:
    end = next((at for at, c in enumerate(text) if not (c.isalnum() or c == "_")), len(text))
    return text[:end] if text[:end].isidentifier() else ""


def run_demo(
    *,
    log_dir: str | os.PathLike[str],
    size_mb: int = 50,
    seed: int = 0,
    echo: Echo,
    sink: Sink | None = None,
) -> bool:
    """Ask both questions, tell through `echo` how it went, and return whether both are right."""
    echo("The model of this demo is offline/needle with its sub-model offline/reader: a small")
    echo("deterministic program, and no language model. It needs no key and no network.")
    echo("")
    began = time.perf_counter()
    echo(f"Building {size_mb} MB of text from the sources of this Python's library, seed {seed} …")
    hay = build(size_mb=size_mb, seed=seed)
    took = time.perf_counter() - began
    echo(f"{len(hay.text):,} characters from {hay.files:,} texts in {took:.1f} s.")
    options = {
        "model": "offline/needle",
        "sub_model": "offline/reader",
        "log_dir": log_dir,
        "on_event": sink,
        "seed": seed,
        "tags": hay.recipe,
    }
    found = _needle(hay, options, echo)
    counted = _tally(hay, options, echo)
    echo("")
    echo("Both answers are right." if found and counted else "Not both answers are right.")
    return found and counted


def _needle(hay: Haystack, options: Mapping[str, Any], echo: Echo) -> bool:
    """A needle: one search, one look, one answer; the text is a variable of the session."""
    from rlm.api import predict

    asked = "What is the magic number?"
    _ask("1. A needle in a haystack.", asked, echo)
    result = predict(
        "haystack: str -> magic_number: int",
        input={"haystack": hay.text},
        instructions=asked,
        **options,
    )
    right = result.ok and result.value == hay.needle
    truth = f"planted: {hay.needle}, at character {hay.needle_at:,}"
    _tell(result, right, truth, echo)
    return right


def _tally(hay: Haystack, options: Mapping[str, Any], echo: Echo) -> bool:
    """An aggregation: narrowed by code, read piece by piece by the sub-model, added by code."""
    from rlm.api import predict

    asked = (
        "Which exception does the library raise most often? That is: which word follows "
        '"raise" at the start of a line most often, and how often?'
    )
    _ask("2. A count over all of it, from a file.", asked, echo)
    with tempfile.TemporaryDirectory(prefix="rlm-demo-") as folder:
        path = Path(folder, "library.txt")
        path.write_text(hay.text, encoding="utf-8", newline="")
        result = predict(
            "library: File -> exception: str, times: int",
            input={"library": File(path)},
            instructions=asked,
            **options,
        )
    word, times = max(hay.raised.items(), key=lambda pair: pair[1])
    right = result.ok and (result.output["exception"], result.output["times"]) == (word, times)
    _tell(result, right, f"counted apart: {word}, {times:,} times", echo)
    return right


def _ask(title: str, asked: str, echo: Echo) -> None:
    echo("")
    echo(title)
    for line in textwrap.wrap(asked, 90):
        echo(f"   {line}")


def _tell(result: Result[Any], right: bool, truth: str, echo: Echo) -> None:
    if result.ok:
        said = ", ".join(str(value) for value in result.output.values())
    else:
        said = f"none, {result.status}: {result.error}"
    cost = "unknown" if result.cost is None else f"${result.cost:.2f}"
    echo(f"   answer  {said}")
    echo(f"   {'right' if right else 'WRONG'}   {truth}")
    echo(
        f"   took    {result.seconds:.2f} s, {result.iterations} turns, {result.llm_calls} model "
        f"calls ({result.sub_calls} sub-calls), {result.usage.total_tokens:,} tokens, cost {cost}"
    )
    echo(f"   log     {result.log}")
