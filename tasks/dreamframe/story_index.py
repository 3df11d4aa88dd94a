"""A story by the ids of its parts: what each tells, what happens in each frame, and what is said after it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.captions.english_nouns import singular
from tasks.dreamframe.story_tree import Dialogue, Frame, Story, Substory, TinyStory
from tasks.dreamframe.story_vocabulary import SETTINGS, VERBS
from tasks.dreamframe.visible_things import VisibleThing, visible_things

_STYLE = re.compile("generate an image (?:in|on) [^:]{1,80} style: ", re.IGNORECASE)
_SOMEBODY_ACTS = re.compile(r"(?P<who>.+?) is (?P<doing>\w+ing\b.*)")
_WORD = re.compile(r"[^\W_][\w'\u2019]*")
_AT = {place.name: place.at for places in SETTINGS.values() for place in places}


@dataclass(frozen=True)
class Event:
    """What a named character does in a frame.

    Attributes:
        frame: id.
        who: name.
        doing: with names, as in "standing beside Pickle".
        shown: the same as the picture shows it: "standing beside a white dog".
        cast: names of all characters in it, `who` first.
        things: all that can be seen, `who` first.
    """

    frame: str
    who: str
    doing: str
    shown: str
    cast: tuple[str, ...]
    things: tuple[VisibleThing, ...]

    @property
    def told(self) -> str:
        """In the present: "Tilly stands beside Pickle"."""
        verb, _, rest = self.doing.partition(" ")
        return f"{self.who} {VERBS.get(verb, f'is {verb}')} {rest}".rstrip()

    def seen_by(self, who: str) -> str:
        """As it goes on after "while", in a question whose subject is `who`."""
        return self.doing if who == self.who else f"{self.who} is {self.doing}"


class StoryIndex:
    """Look-up tables of one story.

    Attributes:
        story: the tree.
        names: of the characters.
        frames: by id.
        dialogues: by id.
        order: the place of each part's id in the story's order.
        lines_after: by frame, what is said after it and before the next.
        events: by frame, for the frames in which a named character acts; those told twice are left out.
        places: where frames are, in order of the story, then the other locations.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.names = tuple(character.name for character in story.characters)
        self.frames = {frame.id: frame for frame in story.frames()}
        self.dialogues = {dialogue.id: dialogue for dialogue in story.dialogues()}
        self.order = {identifier: place for place, identifier in enumerate(_ids(story))}
        self.lines_after = _lines_after(story)
        self.places = tuple(
            dict.fromkeys([*(frame.place for frame in self.frames.values() if frame.place), *story.locations])
        )
        times = Counter(character.description.casefold() for character in story.characters)
        looks = {character.description.casefold(): character.name for character in story.characters}
        self._looks = {look: name for look, name in looks.items() if times[look] == 1}
        longest_first = sorted(self._looks, key=len, reverse=True)
        self._look = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)", re.IGNORECASE)
        self.events = self._events()
        self._texts = self._all_texts()
        self._words: dict[str, frozenset[str]] = {}

    def after(self, first: str, second: str) -> bool:
        """Whether two frames, or two dialogues, are of one tiny story and nothing of their kind is or was between them."""
        stem, _, number = first.rpartition("-")
        other, _, next_number = second.rpartition("-")
        return stem == other and int(next_number.lstrip("d")) == int(number.lstrip("d")) + 1

    def text(self, identifier: str) -> str:
        """All that a part tells, its own parts included, once with looks and once with names."""
        return self._texts[identifier]

    def told_by(self, evidence: Iterable[str], *, around: bool = True) -> frozenset[str]:
        """The words of these parts in lower case, plurals also as singulars.

        Args:
            evidence: ids.
            around: whether titles and contents of what they are parts of count too.
        """
        found: set[str] = set()
        for identifier in evidence:
            found |= self._words_of(identifier, self._texts[identifier])
            parents = [identifier[:length] for length in (5, 2) if around and len(identifier) > length]
            for parent in [*parents, *([""] if around else [])]:
                found |= self._words_of(f"around {parent}", self._texts[f"around {parent}"])
        return frozenset(found)

    def _words_of(self, key: str, text: str) -> frozenset[str]:
        if key not in self._words:
            self._words[key] = words_of(text)
        return self._words[key]

    def named(self, text: str) -> str:
        """A text in which characters are named instead of described."""
        return self._look.sub(lambda found: self._looks[found[0].casefold()], text)

    def _events(self) -> dict[str, Event]:
        found = [event for frame in self.frames.values() if (event := self._event(frame)) is not None]
        times = Counter(event.told.casefold() for event in found)
        return {event.frame: event for event in found if times[event.told.casefold()] == 1}

    def _event(self, frame: Frame) -> Event | None:
        clause = _STYLE.sub("", frame.prompt, count=1)
        if not frame.place or not clause.casefold().startswith(f"{frame.place}, ".casefold()):
            return None
        clause = clause[len(frame.place) + 2 :]
        if frame.expression:
            clause = clause.removesuffix(f", {frame.expression}")
        found = _SOMEBODY_ACTS.fullmatch(clause)
        who = self._looks.get(found["who"].casefold()) if found else None
        if found is None or who is None:
            return None
        others = [self._looks[look.casefold()] for look in self._look.findall(found["doing"])]
        cast = (who, *(name for name in dict.fromkeys(others) if name != who))
        return Event(frame.id, who, self.named(found["doing"]), found["doing"], cast, visible_things(clause))

    def _all_texts(self) -> dict[str, str]:
        story = self.story
        texts = {"around ": f"{story.title}\n{story.overview}"}
        for dialogue in self.dialogues.values():
            texts[dialogue.id] = f"{dialogue.speaker} says\n{dialogue.text}"
        for frame in self.frames.values():
            texts[frame.id] = f"{frame.place}\n{frame.prompt}\n{self.named(frame.prompt)}\n{frame.expression}"
        for tiny_story in story.tiny_stories():
            texts[f"around {tiny_story.id}"] = _about(tiny_story)
            texts[tiny_story.id] = "\n".join([_about(tiny_story), *(texts[shot.id] for shot in tiny_story.shots)])
        for substory in story.substories:
            texts[f"around {substory.id}"] = _about(substory)
            texts[substory.id] = "\n".join([_about(substory), *(texts[part.id] for part in substory.tiny_stories)])
        return texts


def words_of(text: str) -> frozenset[str]:
    """The words of a text in lower case, plurals also as singulars."""
    words = {word.removesuffix("'s") for word in _WORD.findall(text.casefold().replace("\u2019", "'"))}
    return frozenset(words | {singular(word) for word in words})


def at_place(place: str) -> str:
    """How one is at a place: "by the duck pond"."""
    return _AT.get(place, f"at the {place}")


def _about(part: TinyStory | Substory) -> str:
    return f"{part.title}\n{part.scene}\n{part.content}"


def _ids(story: Story) -> Iterable[str]:
    for substory in story.substories:
        yield substory.id
        for tiny_story in substory.tiny_stories:
            yield tiny_story.id
            yield from (shot.id for shot in tiny_story.shots)


def _lines_after(story: Story) -> dict[str, list[Dialogue]]:
    lines: dict[str, list[Dialogue]] = {}
    for tiny_story in story.tiny_stories():
        frame = ""
        for shot in tiny_story.shots:
            if isinstance(shot, Frame):
                frame = shot.id
                lines[frame] = []
            elif frame:
                lines[frame].append(shot)
    return lines
