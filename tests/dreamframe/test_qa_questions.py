"""Questions on stories: how they read, that the story tells their answers, and that wrong options are wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.dreamframe.question_drafts import Claim, Draft, alike, asked_once
from tasks.dreamframe.question_files import split_of
from tasks.dreamframe.question_verification import as_choice, ask, problem_in_story
from tasks.dreamframe.story_index import StoryIndex
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_tree import Story
from tasks.dreamframe.visible_things import visible_things
from tests.dreamframe.composed_stories_for_tests import composed
from tests.dreamframe.qa_for_tests import lost_ball, prompt_of, with_shots
from tests.dreamframe.stories_for_tests import stories

ALL = 1000
SLOW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def drafts_of(story: Story, most: int = ALL) -> dict[str, Draft]:
    drafts = ask(StoryIndex(story), most)
    assert len({draft.id for draft in drafts}) == len(drafts)
    return {draft.id: draft for draft in drafts}


@pytest.fixture(scope="module")
def drafts() -> dict[str, Draft]:
    return drafts_of(lost_ball())


@pytest.mark.parametrize(
    ("prompt", "things"),
    [
        ("a white dog is squatting to look behind the roots", [(1, "white", "dog"), (None, "", "root")]),
        ("a black cat is sitting on a purple ball, with a proud smile", [(1, "black", "cat"), (1, "purple", "ball")]),
        ("a gray cat is looking at two dark red balls", [(1, "gray", "cat"), (2, "dark red", "ball")]),
        ("a black and white dog is hugging an orange cat", [(1, "black and white", "dog"), (1, "orange", "cat")]),
        ("a girl with red hair is looking up at the sky", [(1, "", "girl")]),
        ("", []),
        ("?!", []),
    ],
)
def test_things_of_a_prompt(prompt: str, things: list[tuple[int | None, str, str]]) -> None:
    assert [(thing.count, thing.colour, thing.noun) for thing in visible_things(prompt)] == things


@pytest.mark.parametrize(
    ("identifier", "question", "answer"),
    [
        ("q003", "Where do Pickle and Tilly find Biscuit on top of the purple ball?", "At the cave mouth."),
        ("01-01-01-where", "Where is Pickle while squatting to look behind the roots?", "At the hollow oak."),
        ("01-01-02-next", "What happens right after Pickle squats to look behind the roots?", "Tilly stands beside Pickle."),
        ("01-02-d02-who", 'Who says "Found it! It only got a little pink."?', "Tilly."),
        ("01-01-d02-while", "What does Tilly say while standing beside Pickle?", '"Balls do not run away. They only roll."'),
        ("02-01-d02-after", 'What does Tilly say right after Pickle says "Ball? Hello, ball?"?', '"It cannot answer.'),
        ("01-01-01-colour-1", "What colour is the dog that is squatting to look behind the roots?", "White."),
        ("01-02-02-colour-2", "What colour is the ball that Tilly is holding?", "Pink."),
        (
            "01-02-03-cast",
            "How many of the characters can be seen when Pickle says "
            '"It got very pink. Put it back, we go to the fox path."?',
            "Two.",
        ),
    ],
)
def test_wording(drafts: dict[str, Draft], identifier: str, question: str, answer: str) -> None:
    assert drafts[identifier].question == question
    assert drafts[identifier].answer.startswith(answer)


def test_which_of_two_comes_first(drafts: dict[str, Draft]) -> None:
    draft = drafts["01-first"]
    assert draft.question.startswith("Which of these happens first: ")
    named = [place for place in draft.evidence if StoryIndex(lost_ball()).events[place].told in draft.question]
    assert named == sorted(draft.evidence)
    assert draft.answer == f"{StoryIndex(lost_ball()).events[min(named)].told}."


@SLOW
@given(composed(), st.integers(0, 9))
def test_what_is_asked_of_any_story_is_told_by_it(made: tuple[Story, Breadth], seed: int) -> None:
    story, _ = made
    index = StoryIndex(story)
    for draft in ask(index, 3):
        assert draft.question.endswith("?")
        assert draft.evidence
        assert index.order.keys() >= set(draft.evidence)
        if draft.kind not in ("plot", "overview"):
            assert problem_in_story(draft, index) == ""
        choice = as_choice(draft, index, seed)
        if choice is not None:
            assert len(choice.options) == len({option.casefold() for option in choice.options}) == 4
            assert choice.options.count(draft.answer) == 1
            assert choice.letter == "ABCD"[choice.options.index(draft.answer)]
            for option in set(choice.options) - {draft.answer}:
                assert not alike(option, draft.answer)
                assert problem_in_story(replace(choice, answer=option), index)


@SLOW
@given(composed())
def test_nearly_all_questions_of_composed_stories_are_verified(made: tuple[Story, Breadth]) -> None:
    index = StoryIndex(made[0])
    own = [draft for draft in ask(index, 0) if draft.kind in ("plot", "overview")]
    assert sum(problem_in_story(draft, index) == "" for draft in own) >= 0.8 * len(own)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(stories())
def test_stories_of_any_text_do_no_harm(story: Story) -> None:
    index = StoryIndex(story)
    for draft in ask(index, 5):
        problem_in_story(draft, index)
        choice = as_choice(draft, index, 0)
        assert choice is None or choice.options.count(draft.answer) == 1


@pytest.mark.parametrize(
    ("identifier", "answer", "problem"),
    [
        ("01-01-q001", "Because the green dragon is gone.", "dragon"),
        ("01-01-q001", "Because Rusty took the purple ball.", ""),
        ("01-01-q002", "At the cave mouth.", "cave mouth"),
        ("02-02-q002", "Pickle looks worried.", "worried"),
        ("01-02-q002", 'Tilly says: "I have a secret."', "nobody says"),
        ("01-01-01-where", "By the brook.", "hollow oak"),
        ("01-01-02-next", "Pickle hugs Biscuit.", "it is: Tilly stands beside Pickle."),
        ("01-02-d02-who", "Pickle.", "Tilly says"),
        ("01-01-d02-while", '"Ball? Hello, ball?"', "Tilly says"),
        ("01-02-02-colour-2", "Purple.", "ball: pink"),
        ("02-02-03-cast", "Three.", "there are 2"),
    ],
)
def test_what_the_story_does_not_tell_is_refused(
    drafts: dict[str, Draft], identifier: str, answer: str, problem: str
) -> None:
    found = problem_in_story(replace(drafts[identifier], answer=answer), StoryIndex(lost_ball()))
    assert problem in found
    assert found


def test_evidence_that_is_not_there_is_refused(drafts: dict[str, Draft]) -> None:
    draft = replace(drafts["01-01-q001"], evidence=("07-07-07",))
    assert problem_in_story(draft, StoryIndex(lost_ball())) == "no such part: 07-07-07"


def test_colours_are_asked_only_of_what_is_there_once() -> None:
    found = drafts_of(with_shots(lost_ball(), {"01-01-03": prompt_of("01-01-03", "a white dog is looking at a brown dog")}))
    assert not [name for name in found if name.startswith("01-01-03-colour")]
    assert "01-01-02-colour-1" in found


def test_things_are_counted_where_their_number_is_told() -> None:
    story = with_shots(lost_ball(), {"01-01-03": prompt_of("01-01-03", "a white dog is looking at two red balls")})
    draft = drafts_of(story)["01-01-03-count"]
    assert (draft.question, draft.answer) == ("How many red balls is Pickle looking at?", "Two.")
    assert draft.claims == (Claim(2, 2, "red", "ball"),)
    assert problem_in_story(replace(draft, answer="Three."), StoryIndex(story)) == "there are 2"


def test_what_is_told_twice_is_not_asked_about() -> None:
    again = prompt_of("01-02-03", "a white dog is looking down the road")
    found = drafts_of(with_shots(lost_ball(), {"01-02-03": again, "01-02-d03": "Ball? Hello, ball?"}))
    assert not {"01-01-03-where", "01-02-03-where", "01-02-d03-who", "02-01-d01-who"} & found.keys()
    assert {"01-01-02-where", "01-02-d02-who"} <= found.keys()


def test_a_question_with_two_answers_is_dropped() -> None:
    one = Draft("a", "story", "colour", "What colour is it?", "Red.", ("01",))
    assert asked_once([one, replace(one, id="b", answer="Blue.")]) == []
    assert asked_once([one, replace(one, id="b")]) == [one]


def test_changing_one_dialogue_changes_nothing_else() -> None:
    line, old, new = "01-02-d02", "Found it! It only got a little pink.", "Look here! That must be the one."
    before, after = ({}, {})
    for told, story in ((before, lost_ball()), (after, with_shots(lost_ball(), {line: new}))):
        index = StoryIndex(story)
        for draft in ask(index, ALL):
            for one in (draft, as_choice(draft, index, 0)):
                if one is not None:
                    told[one.id] = (one.question, one.answer, one.options, one.evidence)
    own = {"01-02-q002", "01-02-q002-choice"}  # as the story has it, its answer now quotes what nobody says
    assert before.keys() - {"01-02-q002-choice"} == after.keys()
    changed = {name for name in after if before[name] != after[name]}
    assert changed == {name for name, record in before.items() if old in str(record)} - own
    for name in changed:
        assert str(after[name]) == str(before[name]).replace(old, new), "options stay where they were"


def test_letters_are_near_uniform() -> None:
    index = StoryIndex(lost_ball())
    drafts = ask(index, ALL)
    letters = Counter(choice.letter for seed in range(24) for draft in drafts if (choice := as_choice(draft, index, seed)))
    assert letters.total() > 1000
    assert all(0.22 < letters[letter] / letters.total() < 0.28 for letter in "ABCD")


def test_fewer_questions_are_some_of_all(drafts: dict[str, Draft]) -> None:
    few = drafts_of(lost_ball(), 1)
    assert few.items() <= drafts.items()
    per_scene = Counter((draft.kind, draft.evidence[0][:5]) for draft in few.values() if draft.kind == "location")
    assert set(per_scene.values()) == {1}
    own = drafts_of(lost_ball(), 0)
    assert {draft.kind for draft in own.values() if draft.level == "tiny_story"} == {"plot"}


def test_stories_are_split_by_the_fractions() -> None:
    counts = Counter(split_of(f"story-{number}", 0.2, 0.3) for number in range(2000))
    assert counts["train"] == pytest.approx(1000, abs=100)
    assert counts["validation"] == pytest.approx(400, abs=60)
    assert {split_of("a", 0, 0), split_of("b", 0, 0)} == {"train"}
    assert split_of("a", 0.0, 1.0) == "test"
