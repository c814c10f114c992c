"""The cells that the embedded program writes, each with what it says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm.lm._offline_question import Question

__all__ = [
    "Cell",
    "again",
    "fold",
    "gather",
    "look",
    "map_items",
    "map_pieces",
    "narrow",
    "search",
    "tally_by_code",
    "verify",
]

PIECE_CHARS = 50_000
"""Characters of one sub-call of a map: the reader's window holds them with room for a reply."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One turn: a sentence about it, and the code."""

    why: str
    code: str


_FLAT = "texts = {{{inputs}}}\n"
_NESTED = """\
texts = {{}}

def lay_out(name, value):
    if isinstance(value, dict):
        for key, item in value.items():
            lay_out(f"{{name}}[{{key!r}}]", item)
    elif isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            lay_out(f"{{name}}[{{at}}]", item)
    else:
        texts[name] = value if hasattr(value, "finditer") else str(value)

for name, value in {{{inputs}}}.items():
    lay_out(name, value)
"""
_IN_TEXTS = """\
        for found in re.finditer(pattern, text):
            yield name, found.start(), found.end(), found.group()
"""
_IN_FILES = """\
        for found in text.finditer(pattern):
            yield name, found.start, found.end, found.text
"""
_IN_BOTH = """\
        for found in re.finditer(pattern, text) if isinstance(text, str) else ():
            yield name, found.start(), found.end(), found.group()
        for found in text.finditer(pattern) if not isinstance(text, str) else ():
            yield name, found.start, found.end, found.text
"""
_MATCHES = """
def matches(pattern):
    for name, text in texts.items():
"""
_TELL_TEXTS = """
print("texts:", len(texts))
print("size:", sum({size} for text in texts.values()))
print("head:", *[repr(text[:200]) for text in texts.values()][:1])"""
_SIZE_OF_BOTH = "len(text) if isinstance(text, str) else text.size"


def look(inputs: Sequence[tuple[str, str]]) -> Cell:
    """Lay the inputs (name, type) out as texts, and print how many, how large, how they begin."""
    kinds = {kind for _, kind in inputs}
    named = ", ".join(f"{name!r}: {name}" for name, _ in inputs)
    if kinds == {"str"}:
        parts, size = (_FLAT, _IN_TEXTS), "len(text)"
    elif kinds == {"File"}:
        parts, size = (_FLAT, _IN_FILES), "text.size"
    else:
        parts, size = (_NESTED, _IN_BOTH), _SIZE_OF_BOTH
    code = f"import re, json\n\n{parts[0].format(inputs=named)}{_MATCHES}{parts[1]}"
    return Cell("First I look at what there is.", code + _TELL_TEXTS.format(size=size))


def search(question: Question, *, wide: bool) -> Cell:
    """Find the places that bear on the question."""
    pattern = question.wide_pattern if wide else question.pattern
    why = (
        "Nothing is spelled quite like that, so I allow other spacing, case and punctuation."
        if wide
        else f'A search can pin this: I look for "{question.subject}".'
    )
    return Cell(
        why,
        f"hits = [(name, start, end) for name, start, end, _ in matches({pattern!r})]\n"
        f'print("{"wide_hits" if wide else "hits"}:", len(hits))',
    )


def verify() -> Cell:
    """Print the first places with what stands around them."""
    return Cell(
        "I read the places before I answer.",
        "for name, start, end in hits[:5]:\n"
        '    print("passage:", repr(texts[name][max(0, start - 60):end + 60]))',
    )


def fold(question: Question) -> Cell:
    """Collect the sentences of a fold and compute over them."""
    return Cell(
        f'Each sentence "The {question.subject} of … is …." counts, and code can add.',
        f"pattern = {question.pattern!r}\n"
        "found = dict(re.match(pattern, text).groups() for *_, text in matches(pattern))\n"
        + _NUMBERS
        + 'print("found:", len(found))\n'
        'print("sample:", repr(list(found.items())[:3]))\n'
        f"if {_NEEDS.get(question.fold, 'numbers')}:\n"
        f'    print("answer:", json.dumps({_FOLDS[question.fold]}))',
    )


_NUMBERS = """\
from decimal import Decimal
numbers = {}
for name, value in found.items():
    bare = re.sub(r"[^0-9.-]", "", value)
    if re.fullmatch(r"-?[0-9]+([.][0-9]+)?", bare):
        numbers[name] = Decimal(bare)
"""
_NEEDS = {"list": "found", "count": "True"}
_FOLDS = {
    "list": '{"map": found, "number": str(len(found))}',
    "count": '{"number": str(len(found))}',
    "sum": '{"number": str(sum(numbers.values()))}',
    "average": '{"number": str(sum(numbers.values()) / len(numbers))}',
    "largest": '{"word": max(numbers, key=numbers.get), "number": str(max(numbers.values()))}',
    "smallest": '{"word": min(numbers, key=numbers.get), "number": str(min(numbers.values()))}',
}


def narrow(question: Question) -> Cell:
    """Keep the lines that bear on a tally, and cut them into pieces that fit a sub-call."""
    return Cell(
        f'Only lines with "{question.subject}" matter: code keeps those and cuts them into pieces.',
        f"lines = [text.strip() for *_, text in matches({question.line_pattern!r})]\n"
        f'pieces = chunk_text("\\n".join(lines), {PIECE_CHARS})\n'
        'print("lines:", len(lines))\n'
        'print("pieces:", len(pieces))\n'
        'print("sample:", repr(lines[:3]))',
    )


def map_pieces(question: Question) -> Cell:
    """Ask a sub-model to count in each piece, all at once."""
    place = " at the start of a line" if question.at_line_start else ""
    asked = (
        f'Count how often each word that follows "{question.subject}"{place} stands there. '
        "Reply with a mapping from word to count; an empty one if there is none."
    )
    return Cell(
        "Each piece goes to a sub-model with one small typed question, all at the same time.",
        f"asked = {asked!r}\n"
        "jobs = [{'prompt': asked, 'context': piece, 'output': 'dict[str, int]'} "
        "for piece in pieces]\n" + _RUN,
    )


_RUN = """\
replies = parallel_queries(*jobs)
print("replies:", len(replies))
print("failed:", len(replies.failures))
print("first:", repr(str(replies[0])[:200]) if replies else None)"""

_AGAIN = """\
replies = [parallel_queries({**job, "sample": 1})[0] if isinstance(reply, Failure) else reply
           for job, reply in zip(jobs, replies)]
print("still_failed:", sum(isinstance(reply, Failure) for reply in replies))
print("why:", [str(reply) for reply in replies if isinstance(reply, Failure)][:1])"""


def again() -> Cell:
    """Ask once more what failed."""
    return Cell("Some failed, so I ask those once more.", _AGAIN)


_SUM_TALLY = """\
tally = {}
for reply in replies:
    if not isinstance(reply, Failure):
        for word, times in reply.value.items():
            tally[word] = tally.get(word, 0) + times
"""
_TELL_TALLY = """\
if tally:
    best = max(tally, key=tally.get)
    print("answer:", json.dumps({"word": best, "number": str(tally[best])}))
else:
    print("nothing:", 0)"""
_TELL_MAP = 'print("answer:", json.dumps({"map": tally}))'


def gather(question: Question, *, whole: bool) -> Cell:
    """Add the counts of the pieces up; `whole` prints all of them."""
    return Cell(
        "The counts of the pieces add up.", _SUM_TALLY + (_TELL_MAP if whole else _TELL_TALLY)
    )


def tally_by_code(question: Question, *, whole: bool) -> Cell:
    """Count in the cell itself, where no sub-model may be asked."""
    return Cell(
        "No sub-model may be asked here, so the cell counts by itself.",
        "tally = {}\n"
        f"pattern = {question.pattern!r}\n"
        "for *_, text in matches(pattern):\n"
        "    word = re.match(pattern, text).group(1)\n"
        "    tally[word] = tally.get(word, 0) + 1\n" + (_TELL_MAP if whole else _TELL_TALLY),
    )


_ITEMS = "items = [t if isinstance(t, str) else t.text for t in texts.values()]\n"
_TELL_ROWS = """\
print("replies:", len(replies))
print("failed:", sum(isinstance(reply, Failure) for reply in replies))
print("first:", repr(str(replies[0])[:200]) if replies else None)"""


def map_items(
    task: str, item_type: str, *, long_model: str | None = None, long_chars: int = 0
) -> Cell:
    """Ask a sub-model about each text; those over `long_chars` go to `long_model`."""
    asked = f"{task}\n\nHere is one of the texts; answer for this one alone."
    members = record_fields(item_type)
    why = "Each text is read by a sub-model, all at the same time."
    if members:
        signature = f"text -> {', '.join(members)}\n\n{asked}"
        call = (
            f"signature = {signature!r}\n"
            "replies = parallel_predict(signature, [{'text': item} for item in items])\n"
        )
        return Cell(why, _ITEMS + call + _TELL_ROWS)
    jobs = (
        f"asked = {asked!r}\n"
        f"jobs = [{{'prompt': asked, 'context': item, 'output': {item_type!r}}} "
        "for item in items]\n"
    )
    if long_model:
        why += f" Those over {long_chars:,} characters go to {long_model}."
        jobs += (
            "for job, item in zip(jobs, items):\n"
            f"    if len(item) > {long_chars}:\n"
            f"        job['model'] = {long_model!r}\n"
        )
    return Cell(why, _ITEMS + jobs + _RUN)


def record_fields(item_type: str) -> list[str]:
    """Return `name: type` of each field of a record type as prompts write it, if it is one."""
    _, bracket, inner = item_type.partition("(")
    if not bracket or "[" in item_type.partition("(")[0]:
        return []
    fields, depth, start = [], 0, 0
    inner = inner.removesuffix(")")
    for at, char in enumerate(inner):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            fields.append(inner[start:at].strip())
            start = at + 1
    return [*fields, inner[start:].strip()]
