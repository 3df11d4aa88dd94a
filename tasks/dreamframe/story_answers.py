"""A large model's answers as parts of the story tree: ids are given, frames put into their form, names replaced by looks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.dreamframe.story_prompts import DialogueAnswer, FrameAnswer, OverviewAnswer, ShotsAnswer, TinyStoriesAnswer
from tasks.dreamframe.story_tree import Character, Dialogue, Frame, Question, Story, Substory, TinyStory, part_id

_OVERVIEW_QUESTION = "Can you describe in detail the events of this story?"


def story_from(answer: OverviewAnswer, identifier: str) -> Story:
    """The story without tiny stories.

    Raises:
        ValidationError: it is no story, for example because two characters have one name.
    """
    substories = [
        Substory(
            id=part_id("", number), title=given.title, scene=_listed(given.scene, answer.locations), content=given.content
        )
        for number, given in enumerate(answer.substories, start=1)
    ]
    questions = [Question(id="q001", level="overview", question=_OVERVIEW_QUESTION, answer=answer.overview)]
    for number, (substory, given) in enumerate(zip(substories, answer.substories, strict=True), start=2):
        asked = given.question
        questions.append(
            Question(
                id=part_id("", number, "q"),
                level="story",
                question=asked.question,
                answer=asked.answer,
                evidence=(substory.id,),
            )
        )
    return Story(
        id=identifier,
        title=answer.title,
        overview=answer.overview,
        style_keyword=answer.style_keyword,
        style_phrases=answer.style_phrases,
        locations=answer.locations,
        characters=tuple(Character(name=one.name, description=one.description) for one in answer.characters),
        substories=tuple(substories),
        questions=tuple(questions),
    )


def substory_from(answer: TinyStoriesAnswer, substory: Substory, locations: Sequence[str]) -> Substory:
    """The substory with tiny stories that have no frames yet; numbers of what is not there are left out."""
    tiny_stories = tuple(
        TinyStory(
            id=part_id(substory.id, number), title=given.title, scene=_listed(given.scene, locations), content=given.content
        )
        for number, given in enumerate(answer.tiny_stories, start=1)
    )
    evidence = _named(answer.question.tiny_stories, [tiny_story.id for tiny_story in tiny_stories])
    question = Question(
        id=part_id(substory.id, 1, "q"),
        level="substory",
        question=answer.question.question,
        answer=answer.question.answer,
        evidence=evidence,
    )
    return substory.model_copy(update={"tiny_stories": tiny_stories, "questions": (question,)})


def tiny_story_from(answer: ShotsAnswer, tiny_story: TinyStory, story: Story) -> TinyStory:
    """The tiny story with frames, dialogues (one after a frame that is not there comes last) and questions."""
    frames = [_frame(part_id(tiny_story.id, number), given, story) for number, given in enumerate(answer.frames, start=1)]
    order = sorted(range(len(answer.dialogues)), key=lambda index: answer.dialogues[index].after_frame)
    said = {index: part_id(tiny_story.id, number, "d") for number, index in enumerate(order, start=1)}
    shots: list[Frame | Dialogue] = []
    for number, frame in enumerate(frames, start=1):
        after = [index for index in order if min(answer.dialogues[index].after_frame, len(frames)) == number]
        shots += [frame, *(_dialogue(said[index], answer.dialogues[index]) for index in after)]
    identifiers = [said[index] for index in range(len(answer.dialogues))]
    questions = [
        Question(
            id=part_id(tiny_story.id, number, "q"),
            level="tiny_story",
            question=asked.question,
            answer=asked.answer,
            evidence=_named(asked.frames, [frame.id for frame in frames]) + _named(asked.dialogues, identifiers),
        )
        for number, asked in enumerate(answer.questions, start=1)
    ]
    return tiny_story.model_copy(update={"shots": tuple(shots), "questions": tuple(questions)})


def _named(numbers: tuple[int, ...], identifiers: list[str]) -> tuple[str, ...]:
    return tuple(identifiers[number - 1] for number in dict.fromkeys(numbers) if number <= len(identifiers))


def _dialogue(identifier: str, answer: DialogueAnswer) -> Dialogue:
    return Dialogue(kind="dialogue", id=identifier, text=answer.text, speaker=answer.speaker)


def _frame(identifier: str, answer: FrameAnswer, story: Story) -> Frame:
    place = _listed((answer.place,), story.locations)
    looks = {character.name: character.description for character in story.characters}
    names = "|".join(re.escape(name) for name in sorted(looks, key=len, reverse=True))
    action = f"{answer.who} is {answer.action.removeprefix('is ')}"
    if names:
        action = re.sub(rf"\b(?:{names})\b", lambda found: looks[found[0]], action)
    prompt = f"generate an image in {story.style_keyword} style: {place}, {action}, {answer.expression}"
    return Frame(kind="frame", id=identifier, prompt=prompt, place=place, expression=answer.expression)


def _listed(scene: Sequence[str], locations: Sequence[str]) -> str:
    """The places of a scene, written as in the list of locations."""
    written = {place.casefold(): place for place in locations}
    return ", ".join(written.get(place.casefold(), place) for place in scene)
