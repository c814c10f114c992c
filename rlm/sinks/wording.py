"""How foreign text and numbers are written on a terminal."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["cost_text", "count_text", "excerpt", "first_line", "one_line", "plain", "seconds_text"]


def _visible() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
    table[0x7F] = "␡"
    replaced = [
        *range(0x80, 0xA0),  # C1: 0x9b alone begins an escape sequence
        0x061C,
        *range(0x200E, 0x2010),
        *range(0x202A, 0x202F),  # bidirectional overrides show text in another order than it has
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),  # lone surrogates cannot be encoded
        *range(0xE0000, 0xE0080),  # invisible tags
    ]
    table |= dict.fromkeys(replaced, "\ufffd")
    return table | {0x2028: "\n", 0x2029: "\n"}


_VISIBLE = _visible()


def plain(text: str) -> str:
    """Return the text with nothing in it that a terminal would obey.

    Line ends become `\\n`; every other control character is shown as a picture of itself
    (`␛` for escape), and what would reorder or hide text as U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_VISIBLE)


def one_line(text: str) -> str:
    """Return the text as one plain line, so that it cannot pretend to be a line of ours."""
    return " ".join(plain(text).split())


def first_line(text: str, width: int = 200) -> str:
    """Return the first line with something in it, plain, of at most `width` characters."""
    found = next((line.strip() for line in plain(text[:4000]).split("\n") if line.strip()), "")
    return found if len(found) <= width else found[: width - 1] + "…"


def excerpt(text: str, lines: int) -> list[str]:
    """Return the text in plain lines: all, or head and tail around a line that counts the rest."""
    found = plain(text).rstrip("\n").split("\n")
    if len(found) <= lines + 1:
        return found
    head = (lines + 1) // 2
    tail = lines - head
    middle = f"… {len(found) - lines:,} more lines …"
    return [*found[:head], middle, *found[len(found) - tail :]]


def seconds_text(seconds: float) -> str:
    """Return a duration as a person says it: `40 ms`, `0.8 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def count_text(count: int) -> str:
    """Return a count in four characters or so: `980`, `34k`, `1.2M`."""
    if count < 1000:
        return str(count)
    if count < 999_500:
        return f"{count / 1000:.1f}k" if count < 9_950 else f"{count / 1000:.0f}k"
    return f"{count / 1_000_000:.1f}M"


def cost_text(cost: Decimal | None) -> str:
    """Return dollars with two significant digits below a cent; `None` is an unknown cost."""
    if cost is None:
        return "cost unknown"
    if cost == 0:
        return "$0"
    if cost >= Decimal("0.01"):
        return f"${cost:.2f}" if cost >= 1 else f"${cost:.3f}"
    return f"${cost:.5f}" if cost >= Decimal("0.00001") else "<$0.00001"
