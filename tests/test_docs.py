"""What the documents show is run, where they point to exists, and what is public is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rlm
from rlm import settings
from rlm.events import EVENT_TYPES
from rlm.limits import Limits
from rlm.settings import Options

HERE = Path(__file__).resolve().parent.parent
README = HERE / "README.md"
PAGES = sorted((HERE / "docs").glob("*.md"))
_BLOCK = re.compile(
    r"^(<!-- not run: [^>\n]+-->\n)?^(`{3,})python\n(.*?)^\2$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(autouse=True)
def untouched_defaults() -> Iterator[None]:
    yield
    settings.reset()


def blocks(document: Path) -> list[str]:
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    return [code for mark, _, code in found if not mark]


def run(document: Path, namespace: dict[str, object]) -> None:
    for code in blocks(document):
        exec(compile(code, document.name, "exec", dont_inherit=True), namespace)


def named(*documents: Path) -> set[str]:
    """Return the words that stand in code, whether inline or in blocks."""
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    code = re.findall(r"^(`{3,})\w*\n(.*?)^\1$|(`+)(.+?)\3", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(block + inline for _, block, _, inline in code)))


def anchors(document: Path) -> set[str]:
    """Return where a heading can be pointed to, as renderers of Markdown name it."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    run(README, namespace)
    assert namespace["result"].value == "4711"  # type: ignore[attr-defined]
    assert list((tmp_path / "logs").glob("*.jsonl"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page, {"__name__": f"docs_{page.stem}"})


@pytest.mark.parametrize("document", [README, *PAGES], ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = document.parent / path if path else document
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_index_has_every_page() -> None:
    links = set(_LINK.findall((HERE / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"index.md"} <= links


def test_every_public_name_is_in_the_documents() -> None:
    assert set(rlm.__all__) - named(README, *PAGES) == set()


def test_every_option_is_in_the_index() -> None:
    assert set(Options.__annotations__) - named(HERE / "docs" / "index.md") == set()


def test_every_limit_is_in_the_documents() -> None:
    assert set(Limits.model_fields) - named(HERE / "docs" / "limits.md") == set()


def test_every_event_is_in_the_documents() -> None:
    assert set(EVENT_TYPES) - named(HERE / "docs" / "trace.md") == set()
