"""What came of telling a story: its tree, what is wrong with it, and what had to be set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.dreamframe.story_constraints import violations
from tasks.dreamframe.story_rules import Breadth, Rules, Violation
from tasks.dreamframe.story_tree import Question, Story, Substory, TinyStory
from tasks.llm.errors import ReplyError


@dataclass
class Told:
    """A story on one theme.

    Attributes:
        story: what of it can be used, or None.
        before: violations of constraints in the first answers.
        after: those that were left after the repair.
        failed: ids of the parts that are set aside, each with the reason ("" is the story itself).
        lost: how many parts (the story, substories, tiny stories) are missing, those in others included.
    """

    story: Story | None = None
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    failed: dict[str, ReplyError] = field(default_factory=dict)
    lost: int = 0

    def set_aside(self, identifier: str, error: ReplyError, parts: int) -> None:
        """Counts a part that cannot be used, with the `parts` that would be in it and itself."""
        self.failed[identifier] = error
        self.lost += parts

    def assemble(self, story: Story, substories: Sequence[tuple[Substory, Sequence[TinyStory]]]) -> None:
        """Keeps the story with these substories; questions whose evidence is all missing are set aside."""
        whole = [substory.model_copy(update={"tiny_stories": tuple(kept)}) for substory, kept in substories]
        known = {substory.id for substory in whole} | {scene.id for substory in whole for scene in substory.tiny_stories}
        known |= {shot.id for substory in whole for tiny_story in substory.tiny_stories for shot in tiny_story.shots}
        whole = [
            substory.model_copy(update={"questions": self._answerable(substory.questions, known)}) for substory in whole
        ]
        update = {"substories": tuple(whole), "questions": self._answerable(story.questions, known)}
        self.story = Story.model_validate(story.model_copy(update=update).model_dump())

    def _answerable(self, questions: Sequence[Question], known: set[str]) -> tuple[Question, ...]:
        kept = []
        for question in questions:
            evidence = tuple(part for part in question.evidence if part in known)
            if evidence or question.level == "overview":
                kept.append(question.model_copy(update={"evidence": evidence}))
            else:
                self.set_aside(question.id, ReplyError("no-evidence", "all parts that tell the answer are missing"), 0)
        return tuple(kept)


def parts_of(breadth: Breadth) -> int:
    """How many parts a whole story has: itself, substories and tiny stories."""
    return 1 + breadth.substories * (1 + breadth.tiny_stories)


def rules_of(story: Story, breadth: Breadth) -> Rules:
    """What the parts of this story are held against."""
    names = tuple(character.name for character in story.characters)
    return Rules(breadth, story.style_keyword, story.locations, names)


def checked(story: Story, breadth: Breadth) -> Told:
    """A composed story without the tiny stories that violate constraints; nobody can be asked to repair them.

    A violation in the story itself, or in a substory, is counted only.
    """
    told, rules = Told(), rules_of(story, breadth)
    found = violations(story, rules)
    substories = []
    for substory in story.substories:
        found += violations(substory, rules)
        kept = []
        for tiny_story in substory.tiny_stories:
            wrong = violations(tiny_story, rules)
            found += wrong
            if wrong:
                told.set_aside(tiny_story.id, violated(wrong), 1)
            else:
                kept.append(tiny_story)
        substories.append((substory, kept))
    told.before = told.after = Counter(violation.kind for violation in found)
    told.assemble(story, substories)
    return told


def violated(found: Sequence[Violation], raw: str = "") -> ReplyError:
    """The reason for which a part with violations is set aside: the kind of the first."""
    return ReplyError(found[0].kind, "; ".join(violation.detail for violation in found[:3]), raw)
