"""Questions on where somebody is at a moment, and on what comes first or next; the order of the frames tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tasks.common.seeds import item_seed
from tasks.dreamframe.question_drafts import Draft, Option, ring, sentence
from tasks.dreamframe.story_index import Event, StoryIndex, at_place
from tasks.dreamframe.story_tree import Level


def location_questions(index: StoryIndex) -> list[Draft]:
    """Where each event takes place."""
    places = ring(Option(place, sentence(at_place(place))) for place in index.places)
    return [
        Draft(
            id=f"{event.frame}-where",
            level="tiny_story",
            kind="location",
            question=f"Where is {event.who} while {event.doing}?",
            answer=sentence(at_place(index.frames[event.frame].place)),
            evidence=(event.frame,),
            wrong=places,
        )
        for event in index.events.values()
    ]


def problem_with_location(draft: Draft, index: StoryIndex) -> str:
    """ "" if the frame is at the place of the answer, else where it is."""
    place = at_place(index.frames[draft.evidence[0]].place)
    return "" if draft.answer == sentence(place) else f"{draft.evidence[0]} is {place}"


def order_questions(index: StoryIndex) -> list[Draft]:
    """What follows an event in the same tiny story, and which of two comes first: in each part one pair."""
    events = list(index.events.values())
    all_events = ring(Option(event.frame, f"{event.told}.", (event.frame,)) for event in events)
    following = [_next(one, other, all_events) for one, other in pairwise(events) if index.after(one.frame, other.frame)]
    first = [_first(part, level, groups, events) for part, level, groups in _parts(index) if len(groups) > 1]
    return following + first


def _next(one: Event, other: Event, events: Sequence[Option]) -> Draft:
    return Draft(
        id=f"{other.frame}-next",
        level="tiny_story",
        kind="temporal_order",
        question=f"What happens right after {one.told}?",
        answer=f"{other.told}.",
        evidence=(one.frame, other.frame),
        wrong=[option._replace(evidence=()) for option in events],
        barred=frozenset((one.frame,)),
    )


def _parts(index: StoryIndex) -> list[tuple[str, Level, list[list[Event]]]]:
    """Each part of the story, with its events by the parts that it is made of."""
    events = index.events
    found: list[tuple[str, Level, list[list[Event]]]] = []
    chapters = []
    for substory in index.story.substories:
        scenes = [[events[shot.id] for shot in scene.shots if shot.id in events] for scene in substory.tiny_stories]
        for scene, told in zip(substory.tiny_stories, scenes, strict=True):
            found.append((scene.id, "tiny_story", [[event] for event in told]))
        found.append((substory.id, "substory", [told for told in scenes if told]))
        chapters.append([event for told in scenes for event in told])
    return [*found, ("", "story", [told for told in chapters if told])]


def _first(part: str, level: Level, groups: list[list[Event]], events: Sequence[Event]) -> Draft:
    identifier = f"{part}-first" if part else "first"
    draws = [item_seed(number, identifier) for number in range(4)]
    early = draws[0] % (len(groups) - 1)
    late = early + 1 + draws[1] % (len(groups) - early - 1)
    one, other = groups[early][draws[2] % len(groups[early])], groups[late][draws[3] % len(groups[late])]
    pair = [one.told, other.told]
    if item_seed(4, identifier) % 2:
        pair.reverse()
    return Draft(
        id=identifier,
        level=level,
        kind="temporal_order",
        question=f"Which of these happens first: {pair[0]}, or {pair[1]}?",
        answer=f"{one.told}.",
        evidence=(one.frame, other.frame),
        wrong=ring(Option(event.frame, f"{event.told}.", (event.frame,)) for event in events if event.frame > one.frame),
        choice_question="Which of these happens first?",
    )


def problem_with_order(draft: Draft, index: StoryIndex) -> str:
    """ "" if the ids of the frames say the same as the answer, else what they say."""
    told = {part: f"{index.events[part].told}." for part in draft.evidence}
    if draft.id.removesuffix("-choice").endswith("first"):
        right = told[min(draft.evidence)]
    else:
        before, after = draft.evidence
        if not index.after(before, after) or index.events[before].told not in draft.question:
            return f"{after} does not come right after {before}"
        right = told[after]
    return "" if draft.answer == right else f"it is: {right}"
