"""The stage `keyframes` in a folder of its own, with random models, stories told by hand, and styles of random vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, UNet2DConditionModel
from pydantic import Field
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.parameters import Compute, Section
from tasks.dreamframe import keyframes
from tasks.dreamframe.picture_archive import write_pictures
from tasks.dreamframe.story_tree import Dialogue, Frame, Story, Substory, TinyStory, write_story
from tasks.dreamframe.style_files import save_style
from tests.dreamframe.clip_for_tests import write_tiny_clip
from tests.dreamframe.sdxl_for_tests import POOLED, TOKEN, WIDTHS, style_of, tiny_sdxl

MODULE = "tests.dreamframe.keyframes_for_tests"
OUTPUTS = ("out", "contact_sheets", "quarantine", "provenance", "figure", "metrics")
SETTINGS: dict[str, Any] = {
    "revision": None, "refiner": None, "refiner_revision": None, "handover": 0.5, "width": 32, "height": 32,
    "scheduler": "EulerDiscreteScheduler", "steps": 2, "guidance_scale": 3.0, "negative_prompt": "", "batch": 3,
    "image_encoder_revision": None, "compared_prompts": 2, "max_bad_fraction": 0.0, "preview_stories": 1,
}  # fmt: skip
COMPUTE = {"device": "cpu", "dtype": "float32", "workers": 1, "engine": "processes", "num_gpus": 0.0}


class ProjectParameters(Section):
    """The parameters that the stage reads."""

    seed: int = Field(ge=0)
    compute: Compute
    keyframes: keyframes.Parameters


def write_models(folder: Path) -> None:
    """`model`, `refiner` and `clip` in the folder."""
    pipeline = tiny_sdxl()
    pipeline.save_pretrained(folder / "model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        unet = UNet2DConditionModel.from_config(
            {
                **pipeline.unet.config,
                "cross_attention_dim": WIDTHS[1],
                "projection_class_embeddings_input_dim": 5 * 8 + POOLED,
            }
        )
    StableDiffusionXLImg2ImgPipeline(
        vae=pipeline.vae, text_encoder=None, text_encoder_2=pipeline.text_encoder_2, tokenizer=None,
        tokenizer_2=pipeline.tokenizer_2, unet=unet, scheduler=pipeline.scheduler, requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False, add_watermarker=False,
    ).save_pretrained(folder / "refiner")  # fmt: skip
    write_tiny_clip(folder / "clip")


def a_story(name: str = "kite", keyword: str = "Dramatic", texts: Sequence[str] = ("a dog", "a cat", "a bird")) -> Story:
    """One substory of two tiny stories, each of a frame per text and a dialogue."""

    def tiny_story(number: int) -> TinyStory:
        place = f"01-0{number}"
        frames = [
            Frame(
                kind="frame", id=f"{place}-{index:02}", place="hill",
                prompt=f"generate an image in {keyword} style: hill {number}, {text} is sitting, with a smile",
            )
            for index, text in enumerate(texts, start=1)
        ]  # fmt: skip
        return TinyStory(id=place, shots=(*frames, Dialogue(kind="dialogue", id=f"{place}-d01", text="Look!")))

    substory = Substory(id="01", tiny_stories=(tiny_story(1), tiny_story(2)))
    return Story(id=name, style_keyword=keyword, substories=(substory,))


def write_styles(folder: Path, name: str, seed: int = 0, images: int = 3) -> None:
    """A style of two random vectors, and flat pictures of one colour as its images."""
    folder.mkdir(exist_ok=True, parents=True)
    save_style(folder / f"{name}.safetensors", style_of(2, seed), {"token": TOKEN, "vectors": 2, "keyword": "Dramatic"})
    if images:
        pictures = ((f"{number:03}.png", np.full((32, 32, 3), 40 * seed + number, np.uint8)) for number in range(images))
        write_pictures(folder / f"{name}-images.tar", pictures)


def set_up(work: Path, models: Path, *stories: Story, **changes: Any) -> None:
    """Writes parameters, stories and styles; `changes` are keys of the sections `keyframes` and `compute`, or the seed."""
    (work / "stories").mkdir(exist_ok=True, parents=True)
    for number, story in enumerate(stories or [a_story()]):
        write_story(work / "stories" / f"{story.id}.json", story)
        write_styles(work / "styles", story.id, number)
    set_parameters(work, models, **changes)


def set_parameters(work: Path, models: Path, **changes: Any) -> None:
    named = {"model": str(models / "model"), "image_encoder": str(models / "clip")}
    values: dict[str, Any] = {"seed": 0, "compute": dict(COMPUTE), "keyframes": {**SETTINGS, **named}}
    for name, value in changes.items():
        part = values if name in values else values["compute"] if name in COMPUTE else values["keyframes"]
        part[name] = value
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(values, file)


def run(work: Path) -> int:
    """The exit code."""
    options = {"params": work / "params.yaml", "stories": work / "stories", "styles": work / "styles"}
    options |= {"parts": work / "parts", **{name: work / "made" / name for name in OUTPUTS}}
    arguments = [word for name, path in options.items() for word in (f"--{name.replace('_', '-')}", str(path))]
    return stage.main("keyframes", keyframes.Paths, keyframes.make_keyframes, MODULE, arguments)


def refused(work: Path, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line that says why there are no keyframes."""
    assert run(work) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("keyframes: ")]
    assert len(lines) == 1
    assert not (work / "made" / "out").exists()
    return lines[0]


def made(work: Path, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    """All files that a run wrote, the part store excepted."""
    files = sorted((work / "made").rglob("*"))
    return {str(file.relative_to(work)): file.read_bytes() for file in files if file.is_file() and file.name not in without}


def parts(work: Path) -> dict[str, int]:
    """When each picture in the part store was made, by its key."""
    folders = (work / "parts" / "pictures").iterdir()
    return {folder.name: (folder / "part.json").stat().st_mtime_ns for folder in folders if folder.is_dir()}


def metrics(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "made" / "metrics").read_text(encoding="utf-8"))
    return found


def quarantine(work: Path) -> list[dict[str, Any]]:
    lines = (work / "made" / "quarantine").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]
