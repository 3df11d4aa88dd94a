"""What the importers of the original project's files share: keys of images, and a list of what was set aside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tasks.common.errors import UserError
from tasks.common.files import complete, remove, write_text
from tasks.common.quarantine import Quarantine

MOST_IMAGES = 200_000
"""In one file; the published ones have about 11,000."""
_PATTERN = re.compile(r"[\w.-]{0,100}\{index\}[\w.-]{0,100}")
_MOST_INDEX = 2**63


class Imported(NamedTuple):
    """What was written, in words; the list of what was set aside, and how often for which reason."""

    what: str
    aside: Path
    reasons: Counter[str]


class BadRowError(Exception):
    """One image that cannot be taken over.

    Attributes:
        reason: a short fixed word.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass
class Keys:
    """Keys of images from their numbers: pattern "image_{index}" makes "image_7" of 7.

    Raises:
        UserError: the pattern is no such text.
    """

    pattern: str
    _given: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(self.pattern):
            raise UserError(
                f"--key-pattern {self.pattern!r}: write {{index}} once, and letters, digits, `_`, `-` and `.` around it, "
                "such as image_{index}"
            )

    def of(self, index: Any) -> str:
        """The key of an image.

        Raises:
            BadRowError: the index is not a whole number, or was given before.
        """
        if type(index) is not int or not 0 <= index < _MOST_INDEX:
            raise BadRowError("bad-index", "the index is not a whole number from 0 on")
        key = self.pattern.replace("{index}", str(index))
        if key in self._given:
            raise BadRowError("index-twice", f"{key} comes more than once")
        self._given.add(key)
        return key


def row_name(number: int, index: Any) -> str:
    """How a row is called in the list of what was set aside; `number` counts from 0."""
    return f"row {number}, index {index}" if type(index) is int else f"row {number}"


def save(target: Path, write: Callable[[Path], None], quarantine: Quarantine) -> Path:
    """Writes a file whole or not at all, and the list of what was set aside, if any was, to the path that is returned."""
    aside = target.with_name(f"{target.name}.quarantine.jsonl")
    with complete(target) as unfinished:
        write(unfinished)
        if quarantine.lines:
            write_text(aside, "".join(line + "\n" for line in quarantine.lines))
        else:
            remove(aside)
    return aside


def described(reasons: Counter[str]) -> str:
    """Such as "2 bad-caption, 1 index-twice"."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def nothing_left(path: Path, quarantine: Quarantine) -> UserError:
    """The error of a file of which not one image could be taken over."""
    return UserError(f"{path}: nothing to take over ({described(quarantine.reasons) or 'it has no images'}); check the file")
