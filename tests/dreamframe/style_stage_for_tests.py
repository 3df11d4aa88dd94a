"""The stage `style` in a folder of its own: small stories, the tiny random models, parameters."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field
from ruamel.yaml import YAML
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from tasks.common import stage
from tasks.common.parameters import Compute, Section
from tasks.dreamframe import style
from tasks.dreamframe.story_tree import Frame, Story, Substory, TinyStory, write_story
from tasks.dreamframe.style_generation import load_model
from tests.dreamframe.sdxl_for_tests import tiny_sdxl, tiny_tokenizer

MODULE = "tests.dreamframe.style_stage_for_tests"
OUTPUTS = ("out", "quarantine", "provenance", "figure", "curves", "metrics")
SIDE = 32
COMPUTE = {"device": "cpu", "dtype": "float32", "workers": 1, "engine": "processes", "num_gpus": 0.0}
PARAMETERS: dict[str, Any] = {
    "model": "model", "revision": None, "scheduler": "EulerDiscreteScheduler", "image_encoder": "clip",
    "image_encoder_revision": None, "image_folder": None, "template": "{place}, {phrases}", "images_per_place": 2,
    "images": 4, "image_steps": 1, "image_guidance_scale": 2.0, "image_batch": 2, "resolution": SIDE, "autocontrast": False,
    "mirror": True, "token": None, "vectors": 2, "start": "random", "steps": 4, "batch": 1, "accumulate": 1,
    "learning_rates": [[100, 0.01]], "weight_decay": 0.01, "clip": 1.0, "templates": ["an image in {} style"],
    "suffixes": ["", "art"], "time_ids": None, "gradient_checkpointing": False, "log_every": 2, "checkpoint_every": 1,
    "evaluate_every": 2, "evaluation_images": 2, "max_bad_fraction": 0.0,
}  # fmt: skip


class ProjectParameters(Section):
    """The parameters that the stage reads."""

    seed: int = Field(ge=0)
    compute: Compute
    style: style.Parameters


def save_models(folder: Path, prediction: str = "epsilon") -> None:
    """The tiny random Stable Diffusion XL as `model`, and a tiny random CLIP as `clip`."""
    tiny_sdxl(prediction).save_pretrained(folder / "model")
    tokenizer = tiny_tokenizer()
    text = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={**text, **size}, vision_config={**size, "image_size": SIDE, "patch_size": 8}, projection_dim=16
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder / "clip")
    tokenizer.save_pretrained(folder / "clip")
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder / "clip")


def story(name: str = "mill", keyword: str = "Storybook", **changes: Any) -> Story:
    """Two frames in two places."""
    prompts = [f"generate an image in {keyword} style: {place}, a dog is sitting, calm" for place in ("mill", "brook")]
    shots = [Frame(kind="frame", id=f"01-01-0{number}", prompt=text) for number, text in enumerate(prompts, start=1)]
    tiny_story = TinyStory(id="01-01", shots=tuple(shots))
    given = {"style_phrases": ("soft light", "round shapes"), "locations": ("mill", "brook"), **changes}
    return Story(id=name, style_keyword=keyword, substories=(Substory(id="01", tiny_stories=(tiny_story,)),), **given)


def write_stories(folder: Path, *stories: Story) -> None:
    """Each to its file in `stories`."""
    for one in stories:
        write_story(folder / "stories" / f"{one.id}.json", one)


def write_images(folder: Path, count: int) -> None:
    """Good images, wider than high, each with another colour."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (60, 40), (60 + 50 * number, 90, 120)).save(folder / f"{number}.png")


def write_params(folder: Path, **changes: Any) -> None:
    """Writes parameters; `changes` are keys of the sections `style` and `compute`, or the seed."""
    values: dict[str, Any] = {"seed": 0, "compute": dict(COMPUTE), "style": dict(PARAMETERS)}
    for name, value in changes.items():
        part = values if name in values else values["compute"] if name in COMPUTE else values["style"]
        part[name] = value
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(values, file)


def options(made: str = "made", parts: str = "parts") -> list[str]:
    """The command line, without the program."""
    paths = {"params": "params.yaml", "stories": "stories", "parts": parts, **{name: f"{made}/{name}" for name in OUTPUTS}}
    return [word for name, path in paths.items() for word in (f"--{name}", path)]


def run(made: str = "made", parts: str = "parts") -> int:
    """The exit code."""
    load_model.cache_clear()
    return stage.main("style", style.Paths, style.learn_styles, MODULE, options(made, parts))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def quarantine(made: str = "made") -> list[dict[str, str]]:
    """What was set aside, its count checked."""
    head, *lines = [json.loads(line) for line in Path(made, "quarantine").read_text(encoding="utf-8").splitlines()]
    assert head == {"quarantined": len(lines)}
    return lines


def metrics(made: str = "made") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(made, "metrics").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(stage.main("style", style.Paths, style.learn_styles, MODULE))
