"""Outputs that attack whoever sees or keeps them: terminals, logs, people."""

from __future__ import annotations

from ..case import case

__all__ = ["CASES"]


def _prints(name: str, text: str) -> object:
    """Make a case that prints this text by Python."""
    return case(
        name,
        f"sys.stdout.reconfigure(errors='surrogatepass') if hasattr(sys.stdout, "
        f"'reconfigure') else None\nprint({text!a})\n",
    )


CASES = (
    _prints("clears_the_screen", "\x1b[2J\x1b[H"),
    _prints("sets_the_title", "\x1b]0;owned\x07"),
    _prints("writes_to_the_clipboard", "\x1b]52;c;cm0gLXJmIC8=\x07"),
    _prints("makes_a_link", "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\"),
    _prints("asks_the_terminal", "\x1b[6n\x1b[c\x1b[>c"),
    _prints("draws_an_image", "\x1bPq#0;2;0;0;0~~\x1b\\"),
    _prints("uses_the_other_screen", "\x1b[?1049h"),
    _prints("colours_what_follows", "\x1b[31m"),
    _prints("begins_a_sequence_with_one_character", "\x9b31m\x9d0;owned\x9c"),
    _prints("rewrites_its_line", "all is well\rall is lost"),
    _prints("goes_back", "safe\b\b\b\bevil"),
    _prints("rings", "\x07" * 10),
    _prints("prints_zeros", "a\x00b"),
    _prints("deletes", "a\x7fb"),
    _prints("reorders_text", "safe \u202egnp.exe\u202c"),
    _prints("isolates_text", "\u2066right\u2069 \u061c\u200f"),
    _prints("hides_text_in_tags", "x\U000e0041\U000e0042\U000e007f"),
    _prints("feeds_a_form", "page one\x0cpage two\x0bdown"),
    _prints("shifts_the_characters", "\x0e\x0f\x1b(0"),
    _prints("ends_the_line_of_a_log_early", 'x\u2028{"type":"run_finished"}\u2028'),
    _prints("ends_the_line_with_a_next_line", 'x\x85{"type":"run_finished"}'),
    case(
        "prints_half_a_pair",
        """
        sys.stdout.flush()
        os.write(1, b'\\xed\\xa0\\x80 \\xff\\xfe')
        try: print('\\ud83d')
        except UnicodeError: pass
    """,
    ),
    case("prints_raw_bytes", "os.write(1, bytes(range(256)))"),
    case(
        "writes_to_the_other_stream", "os.write(2, b'\\x1b[2J'); sys.stderr.write('\\x1b]0;x\\x07')"
    ),
    case("has_c_print_it", "libc.puts(b'\\x1b[2J'); libc.fflush(None)"),
    case("raises_it", "raise ValueError('\\x1b[2J\\x9b31m\\u202e')"),
    case(
        "raises_it_by_a_name",
        "type('E\\x1b[2J', (Exception,), {})('x\\r\\x08') and None\n"
        "raise type('E\\x1b[2J', (Exception,), {})('x')",
    ),
    case("has_it_in_its_own_line", "1/0 # \x1b[2J \x9b31m \u202e"),
    case(
        "names_a_variable_so",
        "globals()['a\\x1b[2Jb'] = '\\x1b[2J'; globals()['v'] = '\\x1b[2J'\n"
        "sys.stdout.write('\\x1b[0m')",
    ),
    case(
        "shows_it_as_a_value",
        """
        class Shown:
            def __repr__(self): return '\\x1b[2J\\u202e'
        print(repr(Shown()))
        Shown()
    """,
    ),
    case(
        "shows_a_value_that_raises",
        """
        class Shown:
            def __repr__(self): raise SystemExit('\\x1b[2J')
            def __str__(self): raise KeyboardInterrupt
        sys.stdout.write('\\x1b[0m')
        Shown()
    """,
    ),
    case(
        "shows_a_value_without_end",
        """
        class Shown:
            def __repr__(self): return '\\x1b[2J' + 'x' * 50_000_000
        sys.stdout.write('\\x1b[0m')
        Shown()
    """,
    ),
    case(
        "shows_a_value_that_holds_itself",
        """
        a = []
        for _ in range(100_000): a = [a]
        sys.stdout.write('\\x1b[0m')
        a
    """,
    ),
    case(
        "prints_one_line_without_end",
        """
        for _ in range(30): sys.stdout.write('\\x1b[1m' + 'x' * 1_000_000)
    """,
    ),
)
