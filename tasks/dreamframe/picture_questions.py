"""Questions on what the pictures show: colours and numbers, as the prompts of the frames tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tasks.dreamframe.question_drafts import NUMBERS, Claim, Draft, Option, quoted, ring, sentence
from tasks.dreamframe.story_index import Event, StoryIndex
from tasks.dreamframe.visible_things import VisibleThing, visible_things

_ARTICLES = ("a", "an", "the")
_MOST_COUNTED = 4
"""Wrong numbers are from one to this, or the next ones if there are more."""


def colour_questions(index: StoryIndex) -> list[Draft]:
    """The colour of who acts and of what is acted on, where the picture shows only one such thing."""
    every = [thing.colour for event in index.events.values() for thing in event.things if thing.colour]
    colours = ring(Option(colour, sentence(colour)) for colour in dict.fromkeys(every))
    return [
        Draft(
            id=f"{event.frame}-colour-{number}",
            level="tiny_story",
            kind="colour",
            question=f"What colour is {which}?",
            answer=sentence(thing.colour),
            evidence=(event.frame,),
            wrong=colours,
            claims=(Claim(1, 1, thing.colour, thing.noun),),
        )
        for event in index.events.values()
        for number, (which, thing) in enumerate(_pointed_at(event), start=1)
        if thing.colour and _number(event, thing.noun) == 1
    ]


def _pointed_at(event: Event) -> Iterator[tuple[str, VisibleThing]]:
    """Things of an event that can be asked for without their looks: "the ball that Tilly is holding"."""
    if event.things:
        yield f"the {event.things[0].noun} that is {event.shown}", event.things[0]
    for thing in event.things[1:]:
        before = event.shown.casefold().removesuffix(f" {thing.mention}").rpartition(" ")
        if event.shown.casefold().endswith(f" {thing.mention}") and before[2] in _ARTICLES and before[0]:
            yield f"the {thing.noun} that {event.who} is {before[0]}", thing


def _number(event: Event, noun: str) -> int | None:
    """How many things of a noun there are, of any colour; None if that is not told."""
    counts = [thing.count for thing in event.things if thing.noun == noun]
    return None if None in counts else sum(count for count in counts if count is not None)


def count_questions(index: StoryIndex) -> list[Draft]:
    """How many characters are in the picture when something is said, and how many things are acted on."""
    times = Counter(line.text.casefold() for line in index.dialogues.values())
    drafts = []
    for event in index.events.values():
        lines = [line for line in index.lines_after[event.frame] if line.speaker and times[line.text.casefold()] == 1]
        claims = _cast_claims(event, index)
        if lines and claims:
            when = f"when {lines[0].speaker} says {quoted(lines[0].text)}"
            question = f"How many of the characters can be seen {when}?"
            evidence = (event.frame, lines[0].id)
            drafts.append(_count(f"{event.frame}-cast", question, len(event.cast), evidence, claims))
        for thing in event.things[1:]:
            count, total = thing.count or 0, _number(event, thing.noun)
            before = event.shown.casefold().removesuffix(f" {thing.mention}").rpartition(" ")
            told = event.shown.casefold().endswith(f" {thing.mention}") and before[2] == _word(count)
            if count > 1 and total and told:
                question = f"How many {thing.mention} is {event.who} {before[0]}?"
                claim = Claim(count, total, thing.colour, thing.noun)
                drafts.append(_count(f"{event.frame}-count", question, count, (event.frame,), (claim,)))
    return drafts


def _cast_claims(event: Event, index: StoryIndex) -> tuple[Claim, ...]:
    """What is seen of those who are in a picture; nothing if one of them has no looks that can be counted."""
    looks = {character.name: visible_things(character.description)[:1] for character in index.story.characters}
    kinds = Counter((thing.colour, thing.noun) for name in event.cast for thing in looks[name])
    totals = {noun: _number(event, noun) for _, noun in kinds}
    if kinds.total() < len(event.cast) or not all(totals.values()):
        return ()
    return tuple(Claim(count, totals[noun] or 0, colour, noun) for (colour, noun), count in kinds.items())


def looked_for(event: Event, index: StoryIndex) -> tuple[VisibleThing, ...]:
    """What of a frame a detector can be asked for: characters, things with a colour, and things that are counted."""
    looks = {thing.noun for one in index.story.characters for thing in visible_things(one.description)[:1]}
    return tuple(thing for thing in event.things if thing.colour or thing.noun in looks or (thing.count or 0) > 1)


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)


def _count(identifier: str, question: str, count: int, evidence: tuple[str, ...], claims: tuple[Claim, ...]) -> Draft:
    numbers = range(1, max(_MOST_COUNTED, count + 1) + 1)
    return Draft(
        id=identifier,
        level="tiny_story",
        kind="count",
        question=question,
        answer=sentence(_word(count)),
        evidence=evidence,
        wrong=ring(Option(str(number), sentence(_word(number))) for number in numbers),
        claims=claims,
    )


def problem_with_colour(draft: Draft, index: StoryIndex) -> str:
    """ "" if the frame has one such thing, in the colour of the answer; else what it has."""
    noun = draft.claims[0].noun
    colours = [thing.colour for thing in index.events[draft.evidence[0]].things if thing.noun == noun]
    return "" if [draft.answer] == [sentence(colour) for colour in colours] else f"{noun}: {', '.join(colours) or 'none'}"


def problem_with_count(draft: Draft, index: StoryIndex) -> str:
    """ "" if the frame has as many as the answer says; else how many."""
    event = index.events[draft.evidence[0]]
    if draft.id.removesuffix("-choice").endswith("-cast"):
        number = len(event.cast)
    else:
        claim = draft.claims[0]
        same = [thing for thing in event.things if (thing.colour, thing.noun) == (claim.colour, claim.noun)]
        number = sum(thing.count or 0 for thing in same)
    return "" if draft.answer == sentence(_word(number)) else f"there are {number}"
