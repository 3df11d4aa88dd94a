"""Lists and objects in hostile text: JSON, Python literals, or damaged ones that are mended.

Nothing is executed. Size and depth are bounded before a recursive parser sees the text, and time grows with its length only.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass
from typing import Any

from tasks.llm.repair import repair_json
from tasks.lvd.errors import PlanError
from tasks.lvd.layout import MOST_OBJECTS

_MOST_VALUE = 32_768
# mending is slow for hostile text: within these bounds half a second in all
_MOST_MENDED = 8_000
_MOST_MENDED_DEPTH = 4
_MOST_WITHOUT_PARTNER = 8
_MOST_QUOTES_OF_AN_OBJECT = 12

_PAIRS = {"]": "[", "}": "{", ")": "("}
_BRACKET = re.compile(r"[\[\](){}]")
# a quote that is not closed ends with its line
_TOKEN = re.compile(r"""[\[\](){}]|'(?:\\.|[^'\\\n])*+'?+|"(?:\\.|[^"\\\n])*+"?+|\#[^\n]*+""")


@dataclass
class LiteralReader:
    """Reads the values of one reply.

    Attributes:
        mended: how many values were damaged and could be mended.
        tried: characters that were given to the mender so far.
    """

    mended: int = 0
    tried: int = 0

    def read(self, text: str) -> Any:
        """What `text` stands for, or None if nothing can read it."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return self._mend(text)

    def _mend(self, text: str) -> Any:
        self.tried += len(text)
        value = repair_json(text) if self.tried <= _MOST_MENDED and _is_a_damaged_list(text) else None
        self.mended += value is not None
        return value


def nesting(text: str) -> tuple[int, int]:
    """Depth of brackets, and how many of them have no partner; those in quotes count too."""
    opened: list[str] = []
    depth = lonely = 0
    for bracket in _BRACKET.findall(text):
        if bracket not in _PAIRS:
            opened.append(bracket)
            depth = max(depth, len(opened))
        elif opened and opened[-1] == _PAIRS[bracket]:
            opened.pop()
        else:
            lonely += 1
    return depth, lonely + len(opened)


def _is_a_damaged_list(text: str) -> bool:
    """Whether it looks like a list of objects that took some damage."""
    depth, lonely = nesting(text)
    objects = text.count("{")
    quotes = sum(text.count(quote) for quote in "\"'“”‘’")
    return (
        depth <= _MOST_MENDED_DEPTH
        and lonely <= _MOST_WITHOUT_PARTNER
        and objects <= MOST_OBJECTS
        and text.count("[") <= 2 * MOST_OBJECTS + 2
        and quotes <= _MOST_QUOTES_OF_AN_OBJECT * objects + 8
    )


def end_of_value(text: str, start: int) -> int | None:
    """Behind the bracket that closes the one at `start`, or None if none does; those in quotes and comments do not count.

    Raises:
        PlanError: the value is too long.
    """
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token.start() - start > _MOST_VALUE:
            raise PlanError("oversize", f"a frame is longer than {_MOST_VALUE} characters", text)
        if token[0] in "[{(":
            depth += 1
        elif token[0] in "]})":
            depth -= 1
            if depth == 0:
                return token.end()
    return None
