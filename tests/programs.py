"""Programs made at random of what a cell may say, for what must do the same everywhere."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["programs"]

_NAMES = ("a", "b", "c")
_BINARY = ("+", "-", "*", "//", "%", "**", "<<", ">>", "&", "|", "^", "<", "==", "and", "or")
_CALLS = (
    "sum({0})", "max({0})", "min({0}, default=0)", "sorted({0}, reverse=True)",
    "list(map(str, {0}))",
    "len(set({0}))", "','.join(map(repr, {0}))", "any(x > 1 for x in {0})", "dict(enumerate({0}))",
    "[x * y for x in {0} for y in range(2) if x]", "{{x: str(x) * 2 for x in {0}}}", "{0}[::-1]",
    "(lambda v, *w: (v, w))(*({0} or [0]))", "f'{{len({0})!r:>4}}|{{ {0}!s:.9}}'",
    "'{{0[0]}} {{1.real}}'.format({0} or [0], 2)", "next(iter({0}), None)",
    "str.join('', map(str, {0}))",
)  # fmt: skip


def _numbers() -> st.SearchStrategy[str]:
    leaves = st.one_of(st.integers(-9, 9).map(lambda n: f"({n})"), st.sampled_from(_NAMES))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(_BINARY), inner).map(" ".join).map("({})".format),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
            st.tuples(st.sampled_from(_NAMES), inner).map(lambda t: f"[{t[0]} := {t[1]}][0]"),
            inner.map("f({})".format),
            inner.map("box.add({}).n".format),
        ),
        max_leaves=5,
    )


def _values() -> st.SearchStrategy[str]:
    items = st.lists(_numbers(), max_size=3).map(lambda them: f"[{', '.join(them)}]")
    made = st.one_of(items, st.just("rows"), st.integers(0, 5).map("list(range({}))".format))
    called = st.tuples(st.sampled_from(_CALLS), made).map(lambda t: t[0].format(t[1]))
    return st.one_of(_numbers(), made, called)


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())


def _simple() -> st.SearchStrategy[str]:
    name, value = st.sampled_from(_NAMES), _values()
    augmented = st.sampled_from(("+=", "-=", "*=", "//=", "**=", "<<=", "|="))
    return st.one_of(
        st.tuples(name, value).map(lambda t: f"{t[0]} = {t[1]}\n"),
        st.tuples(name, augmented, _numbers()).map(lambda t: f"{t[0]} {t[1]} {t[2]}\n"),
        st.tuples(augmented, _numbers()).map(lambda t: f"box.n {t[0]} {t[1]}\n"),
        st.tuples(augmented, _numbers()).map(lambda t: f"rows[0] {t[0]} {t[1]}\n"),
        st.tuples(name, value).map(lambda t: f"found['{t[0]}'] = {t[1]}\n"),
        st.tuples(name, name, value).map(lambda t: f"{t[0]}, *{t[1]} = {t[2]}\n"),
        value.map("print({})\n".format),
        value.map("rows.append({})\n".format),
        value.map("assert {}, 'no'\n".format),
        st.sampled_from(("raise KeyError(a)\n", "del rows[0]\n", "pass\n")),
    )


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body, value = inner.map(_indented), _values()
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(value, body, body).map(lambda t: f"if {t[0]}:\n{t[1]}else:\n{t[2]}"),
        st.tuples(st.integers(0, 3), body).map(lambda t: f"for c in range({t[0]}):\n{t[1]}"),
        st.tuples(body, body, body).map(
            lambda t: f"try:\n{t[0]}except Exception as e:\n    print(type(e).__name__)\n{t[1]}"
            f"finally:\n{t[2]}"
        ),
        st.tuples(body, value).map(
            lambda t: f"def h(v=1, *args):\n    global a\n{t[0]}    return {t[1]}\nprint(h(2, 3))\n"
        ),
        body.map(lambda t: f"def g():\n    b = a = c = 1\n    yield b\n{t}try:\n    print(*g())\n"
                 "except Exception as e:\n    print(e)\n"),
        st.tuples(value, body, body).map(
            lambda t: f"match {t[0]}:\n    case int(n) if n > 0:\n{_indented(t[1])}"
            f"    case [x, *_] | (x, _):\n{_indented(t[2])}    case {{'k': v}} | v: print(v)\n"
        ),
    )  # fmt: skip


_BEGIN = """\
class Box:
    __made = 0
    def __init__(self, n): self.n = n; Box.__made += 1
    def add(self, n):
        self.n += n
        return self
    def __repr__(self): return f'Box({self.n!r}, {self.__made})'
def f(v=1, *args): return v
a, b, c = 2, 3, 5
box, rows, found = Box(1), [1, 2, 3], {}
"""
_END = "(a, b, c, box, rows, found)"


def programs() -> st.SearchStrategy[str]:
    """Return programs that may fail, end by themselves, and finish with what they made."""
    return st.recursive(_simple(), _compound, max_leaves=8).map(lambda code: _BEGIN + code + _END)
