"""Stories of any small size, in the original's form and as trees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tasks.dreamframe.story_text import clean_text
from tasks.dreamframe.story_tree import Character, Dialogue, Frame, Level, Question, Story, Substory, TinyStory, part_id

STYLE = "generate an image in Dramatic style: "


def flat_story(breadth: int, dialogues: int | None = None) -> dict[str, Any]:
    """A story of breadth^3 frames, the first `dialogues` of them (half, if not given) with a dialogue behind."""
    frames = breadth**3
    shots: list[list[str]] = []
    for number in range(frames):
        shots.append(["frame", f"{STYLE}In the mill, a man in brown is holding sack {number}, with a calm face."])
        if number < (frames // 2 if dialogues is None else dialogues):
            shots.append(["dialogue", f"That's sack {number}\u2026"])
    overview = "'The Mill' tells of Ada and her sacks.\nIt ends well."
    asked = [{"Question": f"Why {number}?", "Answer": f"Because of {number}."} for number in range(2 * breadth + breadth**2)]
    return {
        "character": {"Ada": "a woman in royal blue", "Bo": "a man in brown"},
        "img_diag": shots,
        "QA": [{"Question": "Describe what happens.", "Answer": overview}, *asked],
        "overview": overview,
    }


def is_usable(text: str) -> bool:
    return bool(text.strip()) and clean_text(text, one_line=True) == text


TEXTS = st.text(
    st.sampled_from("ab \"'\\/{}[](),:;.?#`é\u2019猫\U0001f600\U000e0100\u200d"), min_size=1, max_size=12
).filter(is_usable)
PARAGRAPHS = st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Trees as the original's form can hold them: b x b x b frames; questions for every part, none, or a few."""
    breadth = draw(st.integers(1, 3))
    said = st.sampled_from(draw(st.lists(TEXTS, min_size=1, max_size=5)))
    style = draw(st.sampled_from(["", "Dramatic", "old film"]))
    prefix = f"generate an image in {style} style: " if style else ""
    overview = draw(st.just("") | PARAGRAPHS)
    answers = said.filter(lambda text: text != overview)
    asked = draw(st.sampled_from(["all", "none", "few"]))

    def question(part: str, number: int, level: Level, *evidence: str) -> Question:
        return Question(
            id=part_id(part, number, "q"), level=level, question=draw(said), answer=draw(answers), evidence=evidence
        )

    def tiny_story(name: str) -> TinyStory:
        shots: list[Frame | Dialogue] = []
        dialogues = 0
        for number in range(1, breadth + 1):
            shots.append(Frame(kind="frame", id=part_id(name, number), prompt=prefix + draw(said)))
            for _ in range(draw(st.integers(0, 2))):
                dialogues += 1
                shots.append(Dialogue(kind="dialogue", id=part_id(name, dialogues, "d"), text=draw(said)))
        questions = (question(name, 1, "tiny_story"),) if asked == "all" else ()
        return TinyStory(id=name, shots=tuple(shots), questions=questions)

    def substory(name: str) -> Substory:
        tiny_stories = tuple(tiny_story(part_id(name, number)) for number in range(1, breadth + 1))
        return Substory(
            id=name, tiny_stories=tiny_stories, questions=(question(name, 1, "substory"),) if asked == "all" else ()
        )

    chapters = [part_id("", number) for number in range(1, breadth + 1)]
    on_all = {
        "none": lambda: [],
        "few": lambda: [question("", number, "story") for number in range(1, draw(st.integers(1, 3)) + 1)],
        "all": lambda: [
            question("", 1, "overview"),
            *(question("", number, "story", chapter) for number, chapter in enumerate(chapters, start=2)),
        ],
    }
    names = draw(st.lists(TEXTS, unique=True, max_size=3))
    return Story(
        id="story",
        overview=overview,
        style_keyword=style,
        characters=tuple(Character(name=name, description=draw(said)) for name in names),
        substories=tuple(substory(chapter) for chapter in chapters),
        questions=tuple(on_all[asked]()),
    )


MISSPELT = {
    "character": "Characters",
    "img_diag": "img_dialogue",
    "QA": "qa ",
    "overview": "Overveiw",
    "frame": "Frame1",
    "dialogue": "dialgue2",
    "Question": "question ",
    "Answer": "Anwser",
}


def misspelt(flat: dict[str, Any]) -> dict[str, Any]:
    return {
        **{MISSPELT[key]: flat[key] for key in ("overview", "character")},
        MISSPELT["img_diag"]: [[MISSPELT[kind], text] for kind, text in flat["img_diag"]],
        MISSPELT["QA"]: [{MISSPELT[key]: text for key, text in entry.items()} for entry in flat["QA"]],
    }


def _lines(flat: dict[str, Any]) -> str:
    return json.dumps(flat, indent=1)


def _as_tuples(flat: dict[str, Any]) -> str:
    return repr({**flat, "img_diag": tuple(tuple(pair) for pair in flat["img_diag"]), "QA": tuple(flat["QA"])})


DAMAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "none": _lines,
    "not escaped": lambda flat: json.dumps(flat, ensure_ascii=False),
    "misspelt": lambda flat: json.dumps(misspelt(flat)),
    "no commas": lambda flat: _lines(flat).replace(",\n", "\n"),
    "trailing commas": lambda flat: re.sub(r"\n( *)([\]}])", r",\n\1\2", _lines(flat)),
    "doubled commas": lambda flat: _lines(flat).replace(",\n", ",,\n"),
    "Python literal": repr,
    "ASCII Python literal": ascii,
    "tuples": _as_tuples,
    "fence": lambda flat: f"Sure! In {{Dramatic}} style:\n```json\n{_lines(flat)}\n```\nIt's what {{you}} \"asked for.",
    "assignment": lambda flat: f"story = {flat!r}  # {{done",
    "BOM": lambda flat: "\ufeff" + _lines(flat).replace("\n", "\r\n"),
    "all": lambda flat: f"Here: {misspelt(flat)!r}".replace("], [", "] [").replace("]}", ",],}") + "```",
}
