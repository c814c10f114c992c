"""What the embedded program understands of a question: a few kinds, by fixed phrases."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

__all__ = ["Question", "number", "plain_number", "understand"]

Kind = Literal["find", "count", "tally", "fold", "unknown"]

_TALLY = re.compile(
    r"(?:which|each|every|what) \w+ (?:that )?(?:follows|comes after) [\"“`](.+?)[\"”`]", re.I
)
_FOLD = re.compile(
    r"\b(?:(how many) (?P<counted>[a-z][a-z _-]*?) are there\b"
    r"|(list|sum|total|average|mean|largest|highest|biggest|smallest|lowest)"
    r"(?: of)?(?: all)?(?: the)? (?P<folded>[a-z][a-z _-]*?)(?:[?.,;:\n]| in the | in this |$))",
    re.I,
)
_COUNT = re.compile(r"how (?:many times|often)\b[^\"“`\n]*[\"“`](.+?)[\"”`]", re.I)
_FIND = re.compile(
    r"(?:what(?:'s| is| are| was)|find|give|tell me|report|which is|look for) (?:out )?(?:me )?"
    r"(?:the|an?|its|his|her) ([a-z0-9][\w -]*?)"
    r"(?= (?:is )?(?:hidden|in|within|among|mentioned|stated|that|which|and|from)\b|[?.,;:!\n]|$)",
    re.I,
)
_FOLDS = {
    "how many": "count",
    "total": "sum",
    "mean": "average",
    "highest": "largest",
    "biggest": "largest",
    "lowest": "smallest",
}
_VALUE = r"([^\n]{1,200}?)(?:\.(?=\s|$)|$)"


@dataclass(frozen=True, slots=True)
class Question:
    """A question that the program can answer, or one of the kind `unknown`.

    `find`: the value in a sentence "The <subject> is <value>."; `count`: how often the subject
    stands there; `tally`: how often each word follows the subject (`at_line_start`: only where a
    line begins with it); `fold`: the sum, count, list … of the values in sentences "The <subject>
    of <owner> is <value>.".
    """

    kind: Kind
    subject: str = ""
    fold: str = ""
    at_line_start: bool = False

    @property
    def pattern(self) -> str:
        """The regular expression of what bears on the answer; it begins with plain text."""
        words = self._words
        match self.kind:
            case "tally":
                return rf"{self._before}{words}[ \t]+([A-Za-z_]\w*)"
            case "fold":
                return rf"(?m){words} of ([^\n]{{1,100}}?) is {_VALUE}"
            case "find":
                return rf"(?m){words} is {_VALUE}"
        return words

    @property
    def wide_pattern(self) -> str:
        """The same, spelled, spaced and punctuated in any way."""
        words = r"\s+".join(map(re.escape, self.subject.split()))
        return rf"(?im)\b{words}\s*(?:is|was|are|=|:)\s+{_VALUE}"

    @property
    def line_pattern(self) -> str:
        """The regular expression of a whole line that bears on a tally."""
        return rf"{self._before}{self._words}[ \t][^\n]*"

    @property
    def _words(self) -> str:
        return re.escape(self.subject).replace(r"\ ", " ")

    @property
    def _before(self) -> str:
        return r"(?m)^[ \t]*" if self.at_line_start else r"(?m)\b"

    def read(self, text: str) -> Any:
        """Return the answer that a text holds, or `None` when it holds none.

        A find gives the value as text, a count an int, a tally a dict, a fold what `fold` names.
        """
        match self.kind:
            case "count":
                return text.count(self.subject)
            case "tally":
                return dict(Counter(re.findall(self.pattern, text)).most_common())
            case "fold":
                return self._folded(dict(re.findall(self.pattern, text)))
            case "find":
                found = re.search(self.pattern, text) or re.search(self.wide_pattern, text)
                return found[1].strip() if found else None
        return None

    def _folded(self, values: dict[str, str]) -> Any:
        if self.fold == "list":
            return values
        if self.fold == "count":
            return len(values)
        numbers = [n for n in map(number, values.values()) if n is not None]
        if not numbers:
            return None
        match self.fold:
            case "largest":
                return plain_number(max(numbers))
            case "smallest":
                return plain_number(min(numbers))
            case "average":
                return plain_number(sum(numbers, Decimal(0)) / len(numbers))
        return plain_number(sum(numbers, Decimal(0)))


def understand(text: str) -> Question:
    """Return the question that a text asks, as far as the program knows its form."""
    if tally := _TALLY.search(text):
        return Question("tally", tally[1], at_line_start="start of a line" in text)
    if count := _COUNT.search(text):
        return Question("count", count[1])
    if fold := _FOLD.search(text):
        word = (fold[1] or fold[3]).lower()
        subject = fold["counted"] or fold["folded"]
        return Question("fold", _singular(subject.strip()), _FOLDS.get(word, word))
    if find := _FIND.search(text):
        return Question("find", find[1].strip())
    return Question("unknown")


def _singular(words: str) -> str:
    return words[:-1] if words.endswith("s") and not words.endswith("ss") else words


def number(text: str) -> Decimal | None:
    """Return the number that a text is, be it with a currency sign or separators, or `None`."""
    bare = re.sub(r"^(?:USD|EUR|GBP|[$€£])\s?|\s?(?:USD|EUR|GBP|[$€£])$", "", text.strip())
    if not re.fullmatch(r"[-+]?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)", bare):
        return None
    return Decimal(bare.replace(",", ""))


def plain_number(value: Decimal) -> int | float:
    """Return a number as JSON writes it: whole ones without a fraction."""
    return int(value) if value == value.to_integral_value() else float(value)
