"""What the frames and dialogues of a tiny story must keep to (specs/dreamframe.md C1): each function says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from tasks.dreamframe.story_rules import MOST_PROMPT_TOKENS, Rules, prompt_tokens, too_long
from tasks.dreamframe.story_tree import Dialogue, Frame, TinyStory
from tasks.dreamframe.story_vocabulary import VERBS

_SIMILAR = 0.75
_MOST_SIMILAR = 2


def _frames(part: TinyStory) -> list[Frame]:
    return [shot for shot in part.shots if isinstance(shot, Frame)]


def _dialogues(part: TinyStory) -> list[Dialogue]:
    return [shot for shot in part.shots if isinstance(shot, Dialogue)]


def _frame_count(part: TinyStory, rules: Rules) -> Iterator[str]:
    if len(_frames(part)) != rules.breadth.frames:
        yield f"{len(_frames(part))} frames, expected {rules.breadth.frames}"


def _verb(part: TinyStory, rules: Rules) -> Iterator[str]:
    for frame in _frames(part):
        found = re.search(r" is (\w+)", frame.prompt)
        if found is None or found[1] not in VERBS:
            yield f"frame {frame.id}: somebody must be {', '.join(VERBS)}, not {found[1] if found else 'nothing'!r}"


def _location(part: TinyStory, rules: Rules) -> Iterator[str]:
    for frame in _frames(part):
        if frame.place not in rules.locations or f": {frame.place}, " not in frame.prompt:
            yield f"frame {frame.id}: place {frame.place!r} is not in the list of locations"


def _expression(part: TinyStory, rules: Rules) -> Iterator[str]:
    for frame in _frames(part):
        if not re.search("[a-z]{3}", frame.expression) or not frame.prompt.endswith(f", {frame.expression}"):
            yield f"frame {frame.id}: no expression of the face at its end"
        yield from too_long("expression", frame.expression)


def _style_word(part: TinyStory, rules: Rules) -> Iterator[str]:
    for frame in _frames(part):
        if not frame.prompt.startswith(f"generate an image in {rules.style_keyword} style: "):
            yield f"frame {frame.id}: does not begin with the style {rules.style_keyword}"


def _prompt_length(part: TinyStory, rules: Rules) -> Iterator[str]:
    for frame in _frames(part):
        if prompt_tokens(frame.prompt) > MOST_PROMPT_TOKENS:
            yield f"frame {frame.id}: about {prompt_tokens(frame.prompt)} tokens, at most {MOST_PROMPT_TOKENS}; say less"


def _similar_frames(part: TinyStory, rules: Rules) -> Iterator[str]:
    run, after, spoken = 1, "", True
    words: set[str] = set()
    for shot in part.shots:
        if isinstance(shot, Dialogue):
            spoken = True
            continue
        before, words = words, set(re.findall(r"\w+", shot.prompt.partition(": ")[2].casefold()))
        run = run + 1 if len(before & words) >= _SIMILAR * len(before | words) else 1
        if run > _MOST_SIMILAR or (run > 1 and not spoken):
            yield f"frame {shot.id} is too much like {after}; let something else happen"
        after, spoken = shot.id, False


def _dialogue_budget(part: TinyStory, rules: Rules) -> Iterator[str]:
    lines = _dialogues(part)
    if not min(1, rules.breadth.dialogues) <= len(lines) <= rules.breadth.dialogues:
        yield f"{len(lines)} dialogues, expected 1 to {rules.breadth.dialogues}"
    for line in lines:
        yield from too_long("dialogue", line.text)
    for one, other in pairwise(lines):
        if one.text == other.text:
            yield f"dialogues {one.id} and {other.id} say the same"


def _speaker(part: TinyStory, rules: Rules) -> Iterator[str]:
    for line in _dialogues(part):
        if line.speaker not in rules.names:
            yield f"dialogue {line.id}: speaker {line.speaker!r} is not among the characters {', '.join(rules.names)}"


FRAME_CHECKS: Mapping[str, Callable[[TinyStory, Rules], Iterable[str]]] = {
    "count": _frame_count,
    "verb": _verb,
    "location": _location,
    "expression": _expression,
    "style": _style_word,
    "prompt-length": _prompt_length,
    "similar-frames": _similar_frames,
    "dialogues": _dialogue_budget,
    "speaker": _speaker,
}
