"""What the documents show is run: every Python block of the README, in order, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"(<!-- not run: [^>]*-->\n)?```python\n(.*?)```", re.DOTALL)


def blocks(document: Path) -> list[str]:
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    return [code for mark, code in found if not mark]


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for code in blocks(HERE / "README.md"):
        exec(compile(code, "README.md", "exec", dont_inherit=True), namespace)
    assert namespace["result"].value == "4711"  # type: ignore[attr-defined]
    assert list((tmp_path / "logs").glob("*.jsonl"))


def test_the_links_of_the_readme_lead_somewhere() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (HERE / target).exists(), target
