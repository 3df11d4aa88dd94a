"""Composes a whole story from choices: who is in it, which plot, and where and how each tiny story goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from tasks.common.seeds import item_seed
from tasks.dreamframe.story_plots import INTERLUDES, Beat, Plot, Scene
from tasks.dreamframe.story_questions import ToldFrame, ToldScene, on_story, on_substory, on_tiny_story
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_tree import Character, Dialogue, Frame, Story, Substory, TinyStory, part_id
from tasks.dreamframe.story_vocabulary import EXPRESSIONS, SETTINGS, STYLES, VERBS, Place
from tasks.spriteworld.vocabulary import with_article

_BEATS = 3
_IMPORTANCE = (1, 2, 0)
"""Of the three beats: which go first if there are fewer frames or dialogues."""
Item = TypeVar("Item")


class Actor(NamedTuple):
    """An animal with a name."""

    name: str
    species: str
    colour: str

    @property
    def look(self) -> str:
        """What pictures show, such as "a gray cat"."""
        return with_article(f"{self.colour} {self.species}")


class Cast(NamedTuple):
    """What a story is about, chosen once for all its parts; `other` is the colour of what is not the right thing."""

    plot: Plot
    style: str
    setting: str
    hero: Actor
    friend: Actor
    guest: Actor
    colour: str
    other: str

    @property
    def pair(self) -> str:
        """Those who act."""
        return f"{self.hero.name} and {self.friend.name}"


class Turn(NamedTuple):
    """What one tiny story tells, and where."""

    place: Place
    scene: Scene


def share(items: Sequence[Item], number: int, count: int) -> Sequence[Item]:
    """What is offered to part `number` (from 0) of `count`: its stretch of the items, or one of them if they are too few."""
    if count > len(items):
        return (items[number % len(items)],)
    return items[len(items) * number // count : len(items) * (number + 1) // count]


def scenes_for(plot: Plot, number: int, count: int) -> Sequence[Scene]:
    """What tiny story `number` (from 0) of all `count` may tell."""
    if number == count - 1:
        return (plot.finale,)
    return (plot.opening,) if number == 0 else share(plot.middles, number - 1, count - 2)


def named(text: str, cast: Cast) -> str:
    """A text of the plot with names, as sentences and dialogues have them."""
    because = cast.plot.because[cast.guest.species]
    return text.format_map(_names(cast) | {"because": because})


def _names(cast: Cast) -> dict[str, str]:
    thing = f"the {cast.colour} {cast.plot.thing}"
    punchline = cast.plot.punchlines[cast.guest.species]
    names = {"hero": cast.hero.name, "friend": cast.friend.name, "guest": cast.guest.name}
    return names | {"thing": thing, "thing_colour": cast.colour, "other": cast.other, "punchline": punchline}


def _looks(cast: Cast) -> dict[str, str]:
    looks = {"hero": cast.hero.look, "friend": cast.friend.look, "guest": cast.guest.look}
    return _names(cast) | looks | {"thing": with_article(f"{cast.colour} {cast.plot.thing}")}


def compose(identifier: str, cast: Cast, turns: Sequence[Turn], breadth: Breadth, seed: int) -> Story:
    """The story.

    Args:
        identifier: its id.
        cast: who and what is in it.
        turns: one for each tiny story, in order.
        breadth: how many parts of each kind.
        seed: decides between wordings that mean the same.
    """
    chapters: list[tuple[str, list[ToldScene]]] = []
    substories = []
    for chapter in range(breadth.substories):
        name = part_id("", chapter + 1)
        tiny_stories, told = [], []
        for number in range(breadth.tiny_stories):
            index = chapter * breadth.tiny_stories + number
            after = turns[index + 1].place if index + 1 < len(turns) else turns[index].place
            scene = _scene(part_id(name, number + 1), cast, turns[index], after, breadth, f"{seed}:{identifier}")
            told.append(scene)
            tiny_stories.append(_tiny_story(scene, turns[index].scene.title))
        chapters.append((name, told))
        substories.append(_substory(name, told, tiny_stories))
    overview = _overview(cast, turns)
    return Story(
        id=identifier,
        title=cast.plot.title,
        overview=overview,
        style_keyword=cast.style,
        style_phrases=STYLES[cast.style],
        locations=tuple(place.name for place in SETTINGS[cast.setting]),
        characters=tuple(Character(name=one.name, description=one.look) for one in (cast.hero, cast.friend, cast.guest)),
        substories=tuple(substories),
        questions=on_story(overview, chapters),
    )


def _beats(scene: Scene, frames: int) -> list[tuple[Beat, int | None]]:
    """As many beats as there are frames, those of the scene with their index."""
    core = list(enumerate(scene.beats))
    fillers = [(INTERLUDES[number % len(INTERLUDES)], None) for number in range(frames - _BEATS)]
    kept = core if frames >= _BEATS else [core[index] for index in sorted(_IMPORTANCE[:frames])]
    beats: list[tuple[Beat, int | None]] = [(beat, index) for index, beat in kept]
    return [*beats[:1], *fillers, *beats[1:]]


def _scene(identifier: str, cast: Cast, turn: Turn, after: Place, breadth: Breadth, seed: str) -> ToldScene:
    here = {"spot": turn.place.spot, "next": f"the {after.name}"}
    names, looks = _names(cast) | here, _looks(cast) | here
    beats = _beats(turn.scene, breadth.frames)
    lines = [(place, line) for place, (beat, _) in enumerate(beats) for line in beat.lines]
    importance = {place: _IMPORTANCE.index(index) for place, (_, index) in enumerate(beats) if index is not None}
    spoken = sorted(sorted(lines, key=lambda line: importance[line[0]])[: breadth.dialogues], key=lambda line: line[0])
    dialogues: dict[int, list[Dialogue]] = {}
    for number, (place, line) in enumerate(spoken, start=1):
        role, text = line.format_map(names).split(": ", 1)
        said = Dialogue(kind="dialogue", id=part_id(identifier, number, "d"), text=text, speaker=names[role])
        dialogues.setdefault(place, []).append(said)
    frames = [
        ToldFrame(
            _frame(part_id(identifier, place + 1), cast.style, turn.place, looks[beat.who], beat, looks, seed),
            names[beat.who],
            beat.action.format_map(names),
            beat.mood,
            tuple(dialogues.get(place, ())),
        )
        for place, (beat, _) in enumerate(beats)
    ]
    places = {index: place for place, (_, index) in enumerate(beats)}
    question, answer, source = turn.scene.why
    told = frames[places[source]] if source in places else None
    evidence = (told.frame.id, *(line.id for line in told.lines)) if told else (identifier,)
    return ToldScene(
        identifier=identifier,
        pair=cast.pair,
        deed=turn.scene.deed.format_map(names),
        goal=cast.plot.goal.format_map(names),
        place=turn.place,
        frames=tuple(frames),
        turn=places[1],
        why=(question.format_map(names), named(answer, cast), evidence),
    )


def _frame(identifier: str, style: str, place: Place, look: str, beat: Beat, looks: dict[str, str], seed: str) -> Frame:
    faces = EXPRESSIONS[beat.mood]
    expression = faces[item_seed(0, f"{seed}:{identifier}") % len(faces)]
    prompt = f"generate an image in {style} style: {place.name}, {look} is {beat.action.format_map(looks)}, {expression}"
    return Frame(kind="frame", id=identifier, prompt=prompt, place=place.name, expression=expression)


def _tiny_story(scene: ToldScene, title: str) -> TinyStory:
    shots: list[Frame | Dialogue] = []
    for told in scene.frames:
        shots += [told.frame, *told.lines]
    return TinyStory(
        id=scene.identifier,
        title=title,
        scene=scene.place.name,
        content=_told(scene),
        shots=tuple(shots),
        questions=on_tiny_story(scene),
    )


def _told(scene: ToldScene) -> str:
    """The tiny story in sentences: "By the duck pond, Mia looks between the reeds. "Ball? Hello, ball?" says Mia."."""
    sentences = []
    for told in scene.frames:
        verb, _, rest = told.action.partition(" ")
        sentences.append(f"{told.name} {VERBS[verb]} {rest}".rstrip() + ".")
        for line in told.lines:
            said = f"{line.text[:-1]}," if line.text.endswith(".") and not line.text.endswith("..") else line.text
            sentences.append(f'"{said}" {"asks" if said.endswith("?") else "says"} {line.speaker}.')
    return f"{_capital(scene.place.at)}, {' '.join(sentences)}"


def _substory(identifier: str, scenes: Sequence[ToldScene], tiny_stories: Sequence[TinyStory]) -> Substory:
    first, last = scenes[0].place, scenes[-1].place
    pairs = [scenes[0].pair, *["they"] * (len(scenes) - 1)]
    return Substory(
        id=identifier,
        title=f"From the {first.name} to the {last.name}" if first != last else _capital(first.at),
        scene=", ".join(dict.fromkeys(scene.place.name for scene in scenes)),
        content=" ".join(
            f"{_capital(scene.place.at)}, {who} {scene.deed}." for who, scene in zip(pairs, scenes, strict=True)
        ),
        tiny_stories=tuple(tiny_stories),
        questions=on_substory(identifier, scenes),
    )


def _overview(cast: Cast, turns: Sequence[Turn]) -> str:
    hero, friend, guest = (f"{one.name}, {one.look}" for one in (cast.hero, cast.friend, cast.guest))
    way = f"Their way leads them from the {turns[0].place.name} to the {turns[-1].place.name}. " if len(turns) > 1 else ""
    want = f"{cast.pair} want to {named(cast.plot.goal, cast)}. "
    return f"This is a story of {hero}, {friend}, and {guest}. {want}{way}{named(cast.plot.surprise, cast)}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
