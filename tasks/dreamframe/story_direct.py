"""Stories by a large model: an outline, then each substory, then each tiny story, those of one level at the same time.

Each part is asked for by a question of its own, so that one part that changes asks for no other again. What violates a
constraint is asked for once more with the violations, and then set aside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.common.quarantine import printable
from tasks.dreamframe.story_answers import story_from, substory_from, tiny_story_from
from tasks.dreamframe.story_constraints import NO_PART, violations
from tasks.dreamframe.story_prompts import (
    OverviewAnswer,
    ShotsAnswer,
    TinyStoriesAnswer,
    overview_prompt,
    shots_prompt,
    tiny_stories_prompt,
)
from tasks.dreamframe.story_rules import Breadth, Rules, Violation
from tasks.dreamframe.story_telling import Told, parts_of, rules_of, violated
from tasks.dreamframe.story_tree import Story, Substory, TinyStory
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all
from tasks.llm.request import Message
from tasks.llm.structured import ask

_Part = TypeVar("_Part", Story, Substory, TinyStory)
_Answer = TypeVar("_Answer", bound=BaseModel)
Watch = Callable[[Iterable[Awaitable[TinyStory | None]]], Iterable[Awaitable[TinyStory | None]]]


async def tell_directly(model: CachedModel, identifier: str, theme: str, breadth: Breadth, watch: Watch = iter) -> Told:
    """A story on a theme, as far as the model's answers can be used.

    Args:
        model: what is asked.
        identifier: the story's id.
        theme: one line of text.
        breadth: how many parts of each kind.
        watch: sees the tiny stories as they end.

    Raises:
        UserError, StageError: see `CachedModel.reply`.
    """
    told = Told()
    outline = await _outline(model, identifier, theme, breadth, told)
    if outline is None:
        return told
    numbers = range(len(outline.substories))
    substories = await ask_all([_substory(model, outline, number, breadth, told) for number in numbers])
    whole = [substory for substory in substories if substory]
    scenes = [tiny_story for substory in whole for tiny_story in substory.tiny_stories]
    found = await ask_all([_tiny_story(model, outline, scene, breadth, told) for scene in scenes], watch)
    kept = {tiny_story.id: tiny_story for tiny_story in found if tiny_story}
    told.assemble(
        outline, [(substory, [kept[scene.id] for scene in substory.tiny_stories if scene.id in kept]) for substory in whole]
    )
    told.failed = dict(sorted(told.failed.items()))
    return told


async def _outline(model: CachedModel, identifier: str, theme: str, breadth: Breadth, told: Told) -> Story | None:
    def made(answer: OverviewAnswer) -> Story:
        return story_from(answer, identifier)

    def rules(story: Story) -> Rules:
        return rules_of(story, breadth)

    try:
        return await _part(model, overview_prompt(theme, breadth), OverviewAnswer, made, rules, told)
    except ReplyError as error:
        told.set_aside("", error, parts_of(breadth))
        return None


async def _substory(model: CachedModel, outline: Story, number: int, breadth: Breadth, told: Told) -> Substory | None:
    substory = outline.substories[number]

    def made(answer: TinyStoriesAnswer) -> Substory:
        return substory_from(answer, substory, outline.locations)

    def rules(_: Substory) -> Rules:
        return rules_of(outline, breadth)

    try:
        return await _part(model, tiny_stories_prompt(outline, number, breadth), TinyStoriesAnswer, made, rules, told)
    except ReplyError as error:
        told.set_aside(substory.id, error, 1 + breadth.tiny_stories)
        return None


async def _tiny_story(
    model: CachedModel, outline: Story, scene: TinyStory, breadth: Breadth, told: Told
) -> TinyStory | None:
    def made(answer: ShotsAnswer) -> TinyStory:
        return tiny_story_from(answer, scene, outline)

    def rules(_: TinyStory) -> Rules:
        return rules_of(outline, breadth)

    try:
        return await _part(model, shots_prompt(outline, scene, breadth), ShotsAnswer, made, rules, told)
    except ReplyError as error:
        told.set_aside(scene.id, error, 1)
        return None


async def _part(
    model: CachedModel,
    messages: Sequence[Message],
    answer_type: type[_Answer],
    made: Callable[[_Answer], _Part],
    rules: Callable[[_Part], Rules],
    told: Told,
) -> _Part:
    """The part that an answer tells; counts the violations in its first form and in its last.

    Raises:
        ReplyError: two answers could not be used; its reason is a constraint's, if the second violates one.
    """
    seen: list[list[Violation]] = []

    def wrong(answer: _Answer) -> list[str]:
        try:
            part = made(answer)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]["msg"]
            seen.append([Violation(NO_PART, printable(problem, 200))])
        else:
            seen.append(violations(part, rules(part)))
        return [violation.detail for violation in seen[-1]]

    try:
        return made(await ask(model, messages, answer_type, check=wrong))
    except ReplyError as error:
        if seen and seen[-1] and error.detail.startswith(seen[-1][0].detail):
            raise violated(seen[-1], error.raw) from None
        raise
    finally:
        if seen:
            told.before.update(violation.kind for violation in seen[0])
            told.after.update(violation.kind for violation in seen[-1])
