"""All questions on a story: asked, held against the story, and given options that the story does not make true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tasks.common.seeds import item_seed
from tasks.dreamframe.dialogue_questions import dialogue_questions, problem_with_dialogue
from tasks.dreamframe.moment_questions import location_questions, order_questions, problem_with_location, problem_with_order
from tasks.dreamframe.own_questions import own_questions, problem_with_own
from tasks.dreamframe.picture_questions import colour_questions, count_questions, problem_with_colour, problem_with_count
from tasks.dreamframe.question_drafts import Draft, Kind, Option, alike, asked_once, at_most, with_options
from tasks.dreamframe.story_index import StoryIndex

_WRONG_OPTIONS = 3
_MOST_TRIES = 300
_PROBLEMS: Mapping[Kind, Callable[[Draft, StoryIndex], str]] = {
    "overview": problem_with_own,
    "plot": problem_with_own,
    "temporal_order": problem_with_order,
    "location": problem_with_location,
    "count": problem_with_count,
    "colour": problem_with_colour,
    "dialogue": problem_with_dialogue,
}
_ASKED = (location_questions, order_questions, dialogue_questions, colour_questions, count_questions)


def ask(index: StoryIndex, most_of_a_kind: int) -> list[Draft]:
    """The story's own questions, and those that its frames and dialogues allow, each once.

    Args:
        index: of the story.
        most_of_a_kind: questions of each kind that are added for a tiny story; those on larger parts are all taken.
    """
    drafts = [*own_questions(index), *(draft for questions in _ASKED for draft in questions(index))]
    groups: dict[tuple[str, str], list[Draft]] = {}
    for draft in asked_once(drafts):
        own = draft.kind in ("overview", "plot")
        place = draft.evidence[0][:5] if draft.level == "tiny_story" and not own else "all"
        groups.setdefault((draft.kind, place), []).append(draft)
    kept = {
        draft.id
        for (kind, place), group in groups.items()
        for draft in (group if place == "all" else at_most(group, most_of_a_kind, f"{index.story.id}:{kind}"))
    }
    return [draft for draft in drafts if draft.id in kept]


def problem_in_story(draft: Draft, index: StoryIndex) -> str:
    """What the story does not tell as the answer has it, derived once more from the evidence; "" if nothing."""
    return _PROBLEMS[draft.kind](draft, index)


def as_choice(draft: Draft, index: StoryIndex, seed: int) -> Draft | None:
    """The draft with three wrong options in an order of its own, or None if the story does not offer as many.

    An option is refused if it is like the answer or another option, or if the story makes it true.
    """
    if not draft.wrong:
        return None
    key = f"{index.story.id}:{draft.id}"
    begin = item_seed(seed, key) % len(draft.wrong)
    found: list[Option] = []
    for number in range(min(len(draft.wrong), _MOST_TRIES)):
        option = draft.wrong[(begin + number) % len(draft.wrong)]
        if len(found) < _WRONG_OPTIONS and _is_wrong(option, draft, found, index):
            found.append(option)
    if len(found) < _WRONG_OPTIONS:
        return None
    return with_options(draft, found, item_seed(seed, f"{key}:place") % (_WRONG_OPTIONS + 1))


def _is_wrong(option: Option, draft: Draft, found: Sequence[Option], index: StoryIndex) -> bool:
    if option.key in draft.barred or any(alike(option.text, text) for text in [draft.answer, *(one.text for one in found)]):
        return False
    return bool(problem_in_story(replace(draft, answer=option.text), index))
