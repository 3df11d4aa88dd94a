"""Questions on who says what, during what, and after what."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tasks.dreamframe.question_drafts import Draft, Option, quoted, ring
from tasks.dreamframe.story_index import StoryIndex
from tasks.dreamframe.story_tree import Dialogue


def dialogue_questions(index: StoryIndex) -> list[Draft]:
    """Questions on each line of a named speaker; lines that are said twice are not asked about."""
    times = Counter(line.text.casefold() for line in index.dialogues.values())
    once = {line.id for line in index.dialogues.values() if times[line.text.casefold()] == 1 and line.speaker in index.names}
    names = ring(Option(name, f"{name}.") for name in index.names)
    lines = ring(Option(line.id, quoted(line.text)) for line in index.dialogues.values())
    drafts = [_who(index.dialogues[line], names) for line in sorted(once)]
    for frame, said in index.lines_after.items():
        for line in said:
            speaks_once = sum(other.speaker == line.speaker for other in said) == 1
            if line.id in once and frame in index.events and speaks_once:
                doing = index.events[frame].seen_by(line.speaker)
                drafts.append(_what(line, "while", f"while {doing}", (frame, line.id), lines))
    for one, other in pairwise(index.dialogues.values()):
        if {one.id, other.id} <= once and index.after(one.id, other.id):
            moment = f"right after {one.speaker} says {quoted(one.text)}"
            drafts.append(_what(other, "after", moment, (one.id, other.id), lines))
    return drafts


def _who(line: Dialogue, names: tuple[Option, ...]) -> Draft:
    return Draft(
        id=f"{line.id}-who",
        level="tiny_story",
        kind="dialogue",
        question=f"Who says {quoted(line.text)}?",
        answer=f"{line.speaker}.",
        evidence=(line.id,),
        wrong=names,
    )


def _what(line: Dialogue, name: str, moment: str, evidence: tuple[str, str], lines: tuple[Option, ...]) -> Draft:
    return Draft(
        id=f"{line.id}-{name}",
        level="tiny_story",
        kind="dialogue",
        question=f"What does {line.speaker} say {moment}?",
        answer=quoted(line.text),
        evidence=evidence,
        wrong=lines,
        barred=frozenset(evidence),
    )


def problem_with_dialogue(draft: Draft, index: StoryIndex) -> str:
    """ "" if the line is said as the question and the answer have it, else how it is said."""
    before, identifier = draft.evidence[0], draft.evidence[-1]
    line = index.dialogues[identifier]
    if before == identifier:
        said = draft.question == f"Who says {quoted(line.text)}?"
        return "" if said and draft.answer == f"{line.speaker}." else f"{line.speaker} says {quoted(line.text)}"
    follows = index.after(before, identifier) if before in index.dialogues else line in index.lines_after[before]
    if not follows or not draft.question.startswith(f"What does {line.speaker} say "):
        return f"{identifier} is not said there"
    return "" if draft.answer == quoted(line.text) else f"{line.speaker} says {quoted(line.text)}"
