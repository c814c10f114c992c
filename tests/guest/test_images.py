from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.images import Gallery, measure

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int, height: int) -> bytes:
    return (
        SIGNATURE + struct.pack("!I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + b"crc!"
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_png_is_as_large_as_its_header_says_within_reason(width: int, height: int) -> None:
    sane = 0 < width < 65_536 and 0 < height < 65_536
    assert measure(png(width, height)) == (("PNG", width, height) if sane else None)


@given(st.binary(max_size=80), st.sampled_from([b"", SIGNATURE, b"\xff\xd8\xff", png(3, 2)[:20]]))
def test_no_bytes_at_all_break_it(rest: bytes, start: bytes) -> None:
    found = measure(start + rest)
    assert found is None or found[0] in ("PNG", "JPEG")


@given(st.binary(max_size=40))
def test_a_jpeg_is_measured_past_whatever_comes_before_its_frame(comment: bytes) -> None:
    segment = b"\xff\xfe" + struct.pack("!H", len(comment) + 2) + comment
    frame = b"\xff\xc2" + struct.pack("!HBHH", 17, 8, 480, 640) + bytes(20)
    assert measure(b"\xff\xd8" + segment + frame) == ("JPEG", 640, 480)


def test_an_image_is_kept_once_for_a_cell() -> None:
    gallery = Gallery(1000)
    assert gallery.show(png(3, 2)) == gallery.show(png(3, 2))
    assert gallery.images == [png(3, 2)]
    gallery.begin()
    assert (gallery.images, gallery.show([1, 2])) == ([], "[1, 2]")
