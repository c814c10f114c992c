"""Rich values: tables and arrays by shape, images to the trace, and what a guest may claim."""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from pathlib import Path

import pytest
from parts import Ask, cell
from sessions import cells, every_guest, lost

import rlm
from rlm import events
from rlm.sandbox.base import CellLimits, Execution
from rlm.sandbox.process import ProcessSandbox
from rlm.testing import ScriptedLM

MAKE = """
import zlib, struct
def png(width=4, height=3, more=b''):
    def chunk(kind, content):
        return struct.pack('!I', len(content)) + kind + content + struct.pack('!I', zlib.crc32(kind + content))
    rows = b''.join(b'\\0' + b'\\xff\\0\\0' * width for _ in range(height))
    head = struct.pack('!IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows))
            + chunk(b'IEND', b'') + more)
"""  # noqa: E501 - a program of its own
JPEG = (
    "b'\\xff\\xd8\\xff\\xe0\\0\\x04JF\\xff\\xc0\\0\\x11\\x08\\0\\x10\\0\\x20\\3'"
    " + b'\\1\\x22\\0\\2\\x11\\1\\3\\x11\\1'"
)


def sizes(execution: Execution) -> list[tuple[str, int, int]]:
    assert execution.error is None, execution.error
    return [(image.format, image.width, image.height) for image in execution.images]


@every_guest
def test_an_image_is_told_by_its_size_and_kept(kind: str) -> None:
    _, shown, displayed, plain = cells(
        MAKE, "png(640, 480)", "display(png(7, 9), [1, 2], 'x')\n3", "{'a': png()}", kind=kind
    )
    assert shown.value == "Image 640x480 PNG, 2 kB (kept in the trace)"
    assert sizes(shown) == [("PNG", 640, 480)]
    [image] = shown.images
    assert image.content.startswith(b"\x89PNG")
    assert zlib.crc32(b"IEND") == struct.unpack("!I", image.content[-4:])[0]
    assert displayed.stdout == "Image 7x9 PNG, 75 bytes (kept in the trace)\n[1, 2]\n'x'\n"
    assert (displayed.value, sizes(displayed), plain.images) == ("3", [("PNG", 7, 9)], ())


@pytest.mark.parametrize(
    ("made", "size"),
    [
        ("class A:\n    def _repr_png_(self): return png(7, 9)\nA()", ("PNG", 7, 9)),
        ("class A:\n    def _repr_png_(self): return png(7, 9), {'width': 7}\nA()", ("PNG", 7, 9)),
        ("class Figure:\n    def savefig(self, file, format): file.write(png(6, 4))\nFigure()",
         ("PNG", 6, 4)),
        ("class Figure:\n    def savefig(self, file, format): file.write(png(6, 4))\n"
         "class Axes:\n    def get_figure(self): return Figure()\nAxes()", ("PNG", 6, 4)),
        (JPEG, ("JPEG", 32, 16)),
    ],
)  # fmt: skip
def test_what_offers_an_image_is_one(made: str, size: tuple[str, int, int]) -> None:
    [done] = cells(f"{MAKE}\n{made}")
    assert sizes(done) == [size]
    assert done.value is not None
    assert done.value.startswith(f"Image {size[1]}x{size[2]} {size[0]}, ")


@pytest.mark.parametrize(
    "method",
    [
        "_repr_png_(self): raise SystemExit",
        "_repr_png_(self): return 'text'",
        "savefig(self): pass",
        "get_figure(self): raise KeyboardInterrupt",
        "_repr_html_(self): return '<b>x</b>'",
        "__getattr__(self, name): raise SystemExit",
    ],
)
def test_what_breaks_while_it_is_drawn_is_shown_by_its_repr(method: str) -> None:
    [done] = cells(f"class A:\n    def {method}\n    def __repr__(self): return 'A!'\nA()")
    assert (done.value, sizes(done)) == ("A!", [])


def test_bytes_that_only_begin_like_an_image_are_bytes() -> None:
    done = cells(
        MAKE,
        "b'\\x89PNG\\r\\n\\x1a\\n' + b'x' * 100",
        "png(70_000, 1)",
        "png(0, 0)",
        "b'\\xff\\xd8\\xff'",
    )
    assert all(one.images == () for one in done)
    assert [(one.value or "")[:2] for one in done[1:]] == ["b'", 'b"', "b'", "b'"]


def test_images_without_end_cost_the_time_of_their_cell() -> None:
    code = "class A:\n    def _repr_png_(self):\n        while True: pass\n"
    done, after = cells(f"kept = 1\n{code}A()", "kept", limits=CellLimits(seconds=0.4))
    assert done.error is not None
    assert (done.error.kind, after.value) == ("timeout", "1")


def test_images_are_bounded_in_number_and_size() -> None:
    _, many, same, large, heavy = cells(
        MAKE,
        "for i in range(1, 20): display(png(i, i))",
        "for i in range(20): display(png(5, 5))",
        "display(png(1, 1, b'x' * 3_000_000))",
        "for i in range(4): display(png(2, 2, b'%d' % i * 1_900_000))",
    )
    assert [len(one.images) for one in (many, same, large, heavy)] == [8, 1, 0, 2]
    assert many.stdout.count("kept in the trace") == 8
    assert many.stdout.count("too much to keep in the trace") == 11
    assert large.stdout == "Image 1x1 PNG, 3,000 kB (too much to keep in the trace)\n"


@pytest.mark.parametrize(
    "images",
    [
        "'x'",
        "[5]",
        "[{'$': 'bytes', 'v': 'AAAA'}]",
        "[{'$': 'bytes', 'v': base64.b64encode(b'<svg onload=alert(1)>').decode()}]",
        "[{'$': 'bytes', 'v': base64.b64encode(png(70_000, 1)).decode()}]",
        "[{'$': 'bytes', 'v': base64.b64encode(png(1, 1, b'x' * 3_000_000)).decode()}]",
        "[{'$': 'bytes', 'v': base64.b64encode(png(1, 1, b'x' * 1_000_000)).decode()}] * 6",
        "[{'$': 'str', 'at': [0, 5]}]",
    ],
)
def test_lesson_26_forged_images_end_only_the_session(images: str) -> None:
    code = f"""{MAKE}
import base64, gc, json, os, time
[bridge] = [o for o in gc.get_objects() if type(o).__name__ == 'Bridge']
told = dict(t='done', n=1, files=[], value=None, error=None, variables=[])
told |= dict(stdout='', stderr='', stdout_chars=0, stderr_chars=0, images={images})
bridge.send(told)
time.sleep(5)
"""
    gone, after = cells(code, "1")
    assert "broke the protocol" in lost(gone)
    assert (gone.images, after.value) == ((), "1")


def test_of_forged_images_too_many_are_not_looked_at() -> None:
    code = f"""{MAKE}
import base64, gc, time
[bridge] = [o for o in gc.get_objects() if type(o).__name__ == 'Bridge']
image = {{'$': 'bytes', 'v': base64.b64encode(png(2, 2)).decode()}}
told = dict(t='done', n=1, files=[], value=None, error=None, variables=[], images=[image] * 1000)
bridge.send(told | dict(stdout='', stderr='', stdout_chars=0, stderr_chars=0))
"""
    assert len(cells(code)[0].images) == 8


# the trace


def test_images_are_in_the_trace_and_its_file(predict: Ask, tmp_path: Path) -> None:
    large = "png(300, 300, bytes(range(256)) * 1000)"
    code = cell(f"{MAKE}\ndisplay(png(7, 9))\ndisplay({large})")
    with ScriptedLM([code, cell("submit(answer='seen')")]) as lm:
        result = predict("-> answer: str", model=lm)
    executed = result.turns()[0].execution
    assert executed is not None
    assert [(i.format, i.width, i.height) for i in executed.images] == [
        ("PNG", 7, 9), ("PNG", 300, 300),
    ]  # fmt: skip
    assert executed.images[0].content.startswith(b"\x89PNG")
    again = rlm.Result(rlm.Trace.read(result.log)).turns()[0].execution
    assert again == executed
    lines = Path(result.log).read_text(encoding="utf-8").splitlines()
    [line] = [json.loads(line) for line in lines if '"images"' in line]
    small, big = line["images"]
    assert base64.b64decode(small["base64"]) == executed.images[0].content
    assert big["base64"].keys() == {"$ref"}  # beside the log, as any large value
    assert "Image 7x9 PNG, 75 bytes (kept in the trace)" in lm.prompts[1]
    assert small["base64"] not in lm.prompts[1]


def test_a_line_without_images_says_nothing_of_them(predict: Ask) -> None:
    with ScriptedLM([cell("1 + 1"), cell("submit(answer='x')")]) as lm:
        result = predict("-> answer: str", model=lm)
    assert '"images"' not in result.trace.to_jsonl()
    assert [e.images for e in result.trace.of(events.CodeExecuted)] == [(), ()]


# shapes

WITH = ProcessSandbox(packages=("numpy", "pandas"))


def test_arrays_and_tables_are_shown_by_shape_types_and_ends() -> None:
    done = cells(
        "import numpy as np, pandas as pd\na = np.arange(12.0).reshape(3, 4)\na",
        "np.zeros((1000, 1000), dtype='int8')",
        "frame = pd.DataFrame({'n': range(5000), 'label': ['x'] * 5000})\nframe",
        "frame['n']",
        "pd.DataFrame({f'c{i}': [1] for i in range(100)})",
        "np.float64(3), np.array([]), pd.DataFrame(), np.array(5)",
        "show_vars()",
        kind=WITH,
    )
    values = [one.value or "" for one in done]
    assert values[0].startswith("ndarray of shape (3, 4), float64, from 0.0 to 11.0\n")
    assert "[ 4.,  5.,  6.,  7.]" in values[0]
    assert values[1].startswith("ndarray of shape (1000, 1000), int8, from 0 to 0\n")
    assert values[2].startswith("DataFrame of shape (5000, 2): n int64, label ")
    assert "4999" in values[2]
    assert values[3].startswith("Series of shape (5000,), int64, from 0 to 4999\n")
    assert "and 60 more" in values[4]
    assert "np.float64(3.0)" in values[5]
    assert "a: ndarray (3) = ndarray of shape (3, 4), float64" in values[6]
    assert "frame: DataFrame (5,000) = DataFrame of shape (5000, 2): n int64, label" in values[6]
    described = {one.name: one for one in done[2].variables}
    assert (described["frame"].type, described["frame"].length) == ("DataFrame", 5000)


def test_nothing_is_imported_to_show_a_value() -> None:
    code = "import sys\nclass A: pass\nA(), b'x', [1]\n"
    [done] = cells(
        f"{code}[m for m in ('numpy', 'pandas', 'PIL', 'matplotlib') if m in sys.modules]"
    )
    assert done.value == "[]"
    assert "rlm.guest.images" in sys.modules  # the host measures with the same code
