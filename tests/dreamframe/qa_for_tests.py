"""A small story with keyframes of sprites, and the stages `qa` and `instructions` in a folder of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.parameters import Compute, Section
from tasks.dreamframe import instructions, qa
from tasks.dreamframe.keyframe_archive import Keyframe, write_keyframes
from tasks.dreamframe.story_composer import Actor, Cast, Turn, compose, scenes_for
from tasks.dreamframe.story_plots_of_things import LOST
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_tree import Dialogue, Story, write_story
from tasks.dreamframe.story_vocabulary import SETTINGS
from tasks.dreamframe.visible_things import visible_things
from tasks.spriteworld.render import render_background, render_objects
from tasks.spriteworld.scene import SpriteObject
from tasks.spriteworld.vocabulary import CLASSES, COLOURS

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.dreamframe.qa_for_tests"
_QA = {
    "most_of_a_kind": 2,
    "validation_fraction": 0.1,
    "test_fraction": 0.1,
    "detector": str(ROOT / "models/sprite/detector"),
    "revision": None,
    "resolution": 64,
    "box_threshold": 0.4,
    "text_threshold": 0.4,
    "batch": 8,
    "max_bad_fraction": 0.5,
}
_INSTRUCTIONS = {
    "seconds_per_frame": 1.0,
    "frames_per_second": 1.0,
    "least_side": 96,
    "most_side": 512,
    "resampling": "nearest",
    "max_bad_fraction": 0.5,
}


class ProjectParameters(Section):
    """The parameters that the two stages read."""

    seed: int = Field(ge=0)
    compute: Compute
    qa: qa.Parameters
    instructions: instructions.Parameters


def lost_ball(identifier: str = "lost-ball") -> Story:
    """Two substories of two tiny stories of three frames, each followed by a line."""
    actors = (Actor("Pickle", "dog", "white"), Actor("Tilly", "bird", "blue"), Actor("Biscuit", "cat", "black"))
    cast = Cast(LOST, "Storybook", "forest", *actors, "purple", "pink")
    places = [SETTINGS["forest"][number] for number in (1, 4, 8, 10)]
    turns = [Turn(place, scenes_for(LOST, number, 4)[0]) for number, place in enumerate(places)]
    return compose(identifier, cast, turns, Breadth(2, 2, 3, 4), 0)


def with_shots(story: Story, texts: Mapping[str, str] | None = None, *, silent: bool = False) -> Story:
    """The story with other texts of dialogues and prompts, by id, or without dialogues."""

    def changed(shot: Any) -> Any:
        field = "text" if isinstance(shot, Dialogue) else "prompt"
        return shot.model_copy(update={field: (texts or {}).get(shot.id, getattr(shot, field))})

    substories = []
    for substory in story.substories:
        scenes = []
        for scene in substory.tiny_stories:
            shots = [changed(shot) for shot in scene.shots if not (silent and isinstance(shot, Dialogue))]
            asked = [
                question.model_copy(
                    update={"evidence": tuple(part for part in question.evidence if not silent or "d" not in part)}
                )
                for question in scene.questions
            ]
            scenes.append(scene.model_copy(update={"shots": tuple(shots), "questions": tuple(asked)}))
        substories.append(substory.model_copy(update={"tiny_stories": tuple(scenes)}))
    return Story.model_validate(story.model_copy(update={"substories": tuple(substories)}).model_dump())


def prompt_of(frame: str, action: str) -> str:
    """The prompt of a frame of `lost_ball` in which something else happens."""
    found = next(shot for shot in lost_ball().frames() if shot.id == frame)
    return f"generate an image in Storybook style: {found.place}, {action}, {found.expression}"


def picture_of(prompt: str) -> NDArray[np.uint8]:
    """The animals and things of a prompt side by side, [64, 64, 3]."""
    objects, left = [], 3.0
    for thing in visible_things(prompt):
        for _ in range(thing.count or 0):
            if thing.noun in CLASSES and thing.colour in COLOURS and left < 50:
                objects.append(SpriteObject(thing.noun, thing.colour, (left, 20.0, left + 26, 44.0), "left"))
                left += 30
    return render_objects(render_background("plain", 5), tuple(objects))


def add_story(
    work: Path, story: Story, shown: Mapping[str, str] | None = None, missing: Collection[str] = (), *, drawn: bool = True
) -> None:
    """Writes a story and its keyframes; `shown` are prompts that a picture shows instead of its own."""
    write_story(work / "story" / f"{story.id}.json", story)
    (work / "keyframes").mkdir(exist_ok=True)
    if not drawn:
        return
    keyframes = []
    for frame in story.frames():
        if frame.id not in missing:
            file = work / "pictures" / f"{frame.id}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(picture_of((shown or {}).get(frame.id, frame.prompt))).save(file)
            facts = {"id": frame.id, "file": file.name, "prompt": frame.prompt, "text": frame.prompt, "place": frame.place}
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            keyframes.append((Keyframe(**facts, seed=1, sha256=sha256, width=64, height=64), file))
    write_keyframes(work / "keyframes", story.id, keyframes)


def set_up(work: Path, **changes: Any) -> None:
    """Writes parameters; `changes` are keys of either section."""
    compute = {"device": "cpu", "dtype": "float32", "workers": 1, "engine": "processes", "num_gpus": 0}
    values: dict[str, Any] = {"seed": 0, "compute": compute, "qa": dict(_QA), "instructions": dict(_INSTRUCTIONS)}
    for name, value in changes.items():
        values["qa" if name in _QA else "instructions"][name] = value
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(values, file)


def _run(work: Path, name: str, paths: Any, body: Any, inputs: Mapping[str, str], out: str) -> int:
    options = {"params": "params.yaml", **inputs, "out": out, "quarantine": f"{out}-quarantine.jsonl"}
    options |= {"provenance": f"{out}-provenance.json", "metrics": f"{out}-metrics.json"}
    arguments = [word for option, path in options.items() for word in (f"--{option}", str(work / path))]
    return stage.main(name, paths, body, MODULE, arguments)


def run_qa(work: Path, out: str = "questions") -> int:
    """The exit code."""
    return _run(work, "qa", qa.Paths, qa.make_questions, {"stories": "story", "keyframes": "keyframes"}, out)


def run_instructions(work: Path, out: str = "instructions") -> int:
    """The exit code."""
    inputs = {"stories": "story", "keyframes": "keyframes", "questions": "questions"}
    return _run(work, "instructions", instructions.Paths, instructions.make_instructions, inputs, out)


def metrics(work: Path, out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / f"{out}-metrics.json").read_text(encoding="utf-8"))
    return found


def quarantine(work: Path, out: str) -> dict[str, tuple[str, str]]:
    """Reason and detail by item, the count checked."""
    text = (work / f"{out}-quarantine.jsonl").read_text(encoding="utf-8")
    head, *lines = [json.loads(line) for line in text.splitlines()]
    assert head == {"quarantined": len(lines)}
    return {line["item"]: (line["reason"], line["detail"]) for line in lines}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
