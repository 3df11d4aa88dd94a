"""The parts of a story in the original's form, checked one by one; what cannot be used is set aside with a reason.

The original's own prompts misspell keys ("dialgue"), and so do people and language models; the tables say what is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from tasks.common.errors import UserError
from tasks.common.quarantine import Quarantine
from tasks.dreamframe.story_text import MOST_LINE, MOST_NAME, MOST_PARAGRAPH, clean_text
from tasks.dreamframe.story_tree import MOST_PARTS, Character

MOST_ENTRIES = 100_000
"""In a list; the original has 1,981 frames and dialogues."""

Result = TypeVar("Result")
Kind = Literal["frame", "dialogue"]
StoryKey = Literal["character", "img_diag", "QA", "overview"]
PartKind = Literal[StoryKey, "key"]
_STORY_KEYS: dict[str, StoryKey] = {
    **dict.fromkeys(("character", "characters", "charactor", "charactors", "charater", "charaters"), "character"),
    **dict.fromkeys(("imgdiag", "imgdiags", "imgdialog", "imgdialogue", "imagediag", "imagedialogue", "imgdig"), "img_diag"),
    **dict.fromkeys(("qa", "qas", "qapair", "qapairs", "question", "questions"), "QA"),
    **dict.fromkeys(("overview", "overviews", "overveiw", "overwiew"), "overview"),
}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("frame", "frames", "fram", "farme", "freme", "image", "img"), "frame"),
    **dict.fromkeys(
        ("dialogue", "dialogues", "dialog", "dialogs", "dialgue", "dialgues", "dialouge", "dialouges"), "dialogue"
    ),
    **dict.fromkeys(("dialoge", "dialoges", "diologue", "diolog", "dialague", "diaglogue"), "dialogue"),
}
_QUESTION_KEYS: dict[str, Literal["Question", "Answer"]] = {
    **dict.fromkeys(("question", "questions", "qestion", "quesion", "questoin", "qustion", "quetion", "q"), "Question"),
    **dict.fromkeys(("answer", "answers", "anwser", "awnser", "anser", "anwer", "answear", "asnwer", "a"), "Answer"),
}


class OriginalShot(NamedTuple):
    """A frame or a dialogue; its text is None if it cannot be used, so that it keeps its place among the others."""

    kind: Kind
    text: str | None


class OriginalQuestion(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


def story_keys(value: Mapping[str, Any]) -> dict[str, StoryKey]:
    """What the keys of an object mean, as far as they mean parts of a story."""
    return {key: _STORY_KEYS[_plain(key)] for key in value if _plain(key) in _STORY_KEYS}


def _plain(key: str) -> str:
    """Small letters alone, so that "Question 1: " is "question"; of very long keys nothing."""
    return "".join(character for character in key.casefold() if character.isalpha()) if len(key) <= MOST_NAME else ""


class _BadPartError(Exception):
    """A part that cannot be used; `reason` is a short fixed word, `raw` the text, if it is one."""

    def __init__(self, reason: str, detail: str, raw: Any = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.raw = raw if isinstance(raw, str) else ""


@dataclass
class PartReader:
    """Reads parts, and keeps what it set aside.

    Attributes:
        quarantine: what was set aside.
        total: how many parts there were of each kind.
        bad: how many of each kind were set aside.
        cleaned: how many texts lost characters that cannot be printed.
    """

    quarantine: Quarantine = field(default_factory=Quarantine)
    total: Counter[PartKind] = field(default_factory=Counter)
    bad: Counter[PartKind] = field(default_factory=Counter)
    cleaned: int = 0

    def shots(self, entries: list[Any]) -> list[OriginalShot]:
        """Frames and dialogues in order."""
        self.total["img_diag"] = len(entries)
        found = []
        for number, entry in enumerate(entries, start=1):
            if pair := self._kept("img_diag", number, _pair, entry):
                found.append(OriginalShot(pair[0], self._kept("img_diag", number, self._text, pair[1], MOST_LINE)))
        return found

    def questions(self, entries: Any) -> list[OriginalQuestion | None]:
        """Questions in order; None for each that cannot be used."""
        given = self._kept("QA", "", _list, entries)
        self.total["QA"] = 1 if given is None else len(given)
        return [self._kept("QA", number, self._question, entry) for number, entry in enumerate(given or [], start=1)]

    def characters(self, value: Any) -> list[Character]:
        """The characters, with what pictures show of them."""
        given = self._kept("character", "", _object, value)
        self.total["character"] = 1 if given is None else len(given)
        found: dict[str, Character] = {}
        for number, pair in enumerate((given or {}).items(), start=1):
            character = self._kept("character", number, self._character, pair)
            if character and (character.name in found or len(found) == MOST_PARTS):
                self.set_aside("character", number, "name-twice" if character.name in found else "too-many")
            elif character:
                found[character.name] = character
        return list(found.values())

    def overview(self, value: Any) -> str:
        """The overview; an empty text if there is none that can be used."""
        self.total["overview"] = 1
        return "" if value == "" else self._kept("overview", "", self._paragraph, value) or ""

    def unknown(self, keys: list[str]) -> None:
        """Sets parts aside whose meaning is not known."""
        self.total["key"] = len(keys)
        for key in keys:
            self.set_aside("key", key, "unknown-key")

    def set_aside(self, kind: PartKind, which: int | str, reason: str, detail: str = "", raw: str = "") -> None:
        """Sets one part aside, which is named by its number or in words."""
        self.bad[kind] += 1
        self.quarantine.add(f"{kind} {which}".strip(), reason, detail, raw)

    def check_share(self, most: float) -> None:
        """Refuses a story of which too much was set aside.

        Raises:
            UserError: more than the fraction `most` of the frames and dialogues, of the questions, or of all parts.
        """
        shares = {kind: (self.bad[kind], self.total[kind]) for kind in ("img_diag", "QA")}
        for name, (bad, total) in {**shares, "the file": (self.bad.total(), self.total.total())}.items():
            if bad > most * total:
                reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.quarantine.reasons.items()))
                raise UserError(
                    f"{bad} of {total} parts of {name} cannot be used ({reasons}), more than {most:.0%}; mend them"
                )

    def _kept(self, kind: PartKind, which: int | str, read: Callable[..., Result], *given: Any) -> Result | None:
        try:
            return read(*given)
        except _BadPartError as error:
            self.set_aside(kind, which, error.reason, str(error), error.raw)
            return None

    def _text(self, value: Any, most: int, one_line: bool = True) -> str:
        if not isinstance(value, str):
            raise _BadPartError("no-text", f"a {type(value).__name__}")
        if len(value) > most:
            raise _BadPartError("too-long", f"{len(value)} characters, more than {most}", value)
        text = clean_text(value, one_line=one_line)
        if not text.strip():
            raise _BadPartError("empty-text", "nothing but spaces")
        self.cleaned += text != value
        return text

    def _paragraph(self, value: Any) -> str:
        return self._text(value, MOST_PARAGRAPH, one_line=False)

    def _question(self, entry: Any) -> OriginalQuestion:
        named = [(_QUESTION_KEYS.get(_plain(key)), value) for key, value in _object(entry).items()]
        values = dict(named)
        if len(named) != 2 or set(values) != {"Question", "Answer"}:
            raise _BadPartError("no-question", f"expected Question and Answer, not {', '.join(entry)}")
        return OriginalQuestion(self._text(values["Question"], MOST_LINE), self._paragraph(values["Answer"]))

    def _character(self, pair: tuple[str, Any]) -> Character:
        return Character(name=self._text(pair[0], MOST_NAME), description=self._text(pair[1], MOST_LINE))


def _pair(entry: Any) -> tuple[Kind, Any]:
    if not isinstance(entry, list) or len(entry) != 2:
        raise _BadPartError("no-pair", f"a {type(entry).__name__}", entry)
    kind = _KINDS.get(_plain(entry[0])) if isinstance(entry[0], str) else None
    if kind is None:
        raise _BadPartError("unknown-type", f"expected frame or dialogue, not {str(entry[0])[:MOST_NAME]}", entry[1])
    return kind, entry[1]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_ENTRIES:
        raise _BadPartError("no-list", f"expected a list of at most {MOST_ENTRIES}, not a {type(value).__name__}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST_ENTRIES:
        raise _BadPartError("no-object", f"expected an object, not a {type(value).__name__}", value)
    return value
