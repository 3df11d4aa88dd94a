"""Stage `keyframes`: a picture of each frame of each story, in the story's learned style."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete, write_json
from tasks.common.provenance import checkpoint_identity, file_sha256, made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dreamframe.keyframe_settings import KeyframeSettings

if TYPE_CHECKING:
    from tasks.common.shard_engine import Part
    from tasks.dreamframe.keyframe_requests import StyledStory

_WORK = "tasks.dreamframe.keyframe_images"


class Parameters(KeyframeSettings):
    """How keyframes are made, measured and shown."""

    batch: int = Field(ge=1, le=256, description="pictures at once; on a CPU always one, and results do not depend on it")
    image_encoder: str = Field(min_length=1, description="CLIP that compares pictures and texts: a folder or a hub id")
    image_encoder_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    compared_prompts: int = Field(
        ge=1, le=100, description="frames of a story that are also made without its learned style, to compare"
    )
    max_bad_fraction: float = Field(ge=0, le=1, description="share of pictures that cannot be made or used, at most")
    preview_stories: int = Field(ge=1, le=20, description="stories in the figure that compares")


@dataclass(frozen=True)
class Paths:
    """Stories and learned styles in; keyframes, contact sheets, quarantine list, provenance, figure and metrics out."""

    stories: Path
    styles: Path
    out: Path
    contact_sheets: Path
    quarantine: Path
    provenance: Path
    figure: Path
    metrics: Path
    parts: Path


@dataclass
class Asked:
    """The stories with a style, what is set aside, and how many frames are lost with stories that have none."""

    styled: list[StyledStory]
    quarantine: Quarantine
    lost: int = 0


def _made(project: Any) -> dict[str, Any]:
    """All that decides a picture besides its prompt, seed and style."""
    parameters: Parameters = project.keyframes
    checkpoints = {"model": checkpoint_identity(parameters.model, parameters.revision)}
    if parameters.refiner is not None:
        checkpoints["refiner"] = checkpoint_identity(parameters.refiner, parameters.refiner_revision)
    device, dtype = project.compute.device, project.compute.dtype
    return made_by(_WORK, parameters.deciding(), checkpoints=checkpoints, device=device, dtype=dtype)


def _ask(project: Any, paths: Paths) -> Asked:
    from transformers import CLIPConfig

    from tasks.common.checkpoint_loading import load_part
    from tasks.dreamframe.keyframe_requests import styled_story
    from tasks.dreamframe.sdxl_checkpoint import text_widths
    from tasks.dreamframe.story_tree import read_stories

    parameters: Parameters = project.keyframes
    # Now, and not after hours of work that end in its absence:
    load_part(CLIPConfig, parameters.image_encoder, parameters.image_encoder_revision)
    stories = read_stories(paths.stories)
    if not paths.styles.is_dir():
        raise UserError(f"{paths.styles}: no such folder; run the stage style, it learns the styles of the stories")
    widths = text_widths(parameters.model, parameters.revision)
    asked = Asked([], Quarantine())
    for story in stories:
        styled = styled_story(story, paths.styles, widths, parameters.compared_prompts)
        if styled is None:
            asked.quarantine.add(story.id, "no-style", f"{paths.styles} has no style for it; run the stage style")
            asked.lost += len(list(story.frames()))
        else:
            asked.styled.append(styled)
    return asked


def _make(project: Any, asked: Asked, made: dict[str, Any], paths: Paths) -> dict[str, Part]:
    from tasks.dreamframe.keyframe_images import make_pictures
    from tasks.dreamframe.keyframe_requests import picture_jobs

    parameters: Parameters = project.keyframes
    settings = KeyframeSettings.model_construct(
        **{name: getattr(parameters, name) for name in KeyframeSettings.model_fields}
    )
    jobs = picture_jobs(asked.styled, made, settings, parameters.batch, project.compute, project.seed)
    return make_pictures(jobs, paths.parts, project.compute)


def _keyframe_parts(styled: Sequence[StyledStory], parts: dict[str, Part]) -> list[Part]:
    from tasks.dreamframe.keyframe_requests import picture_name

    return [parts[picture_name(item.story, frame, "learned")] for item in styled for frame in item.story.frames()]


def _set_aside(asked: Asked, parts: dict[str, Part], most: float, where: Path) -> None:
    bad = {name: part.statistics for name, part in parts.items() if "reason" in part.statistics}
    for name, statistics in bad.items():
        asked.quarantine.add(name, statistics["reason"], statistics["detail"])
    write_quarantine(asked.quarantine.lines, where)
    check_bad_share(asked.lost + len(bad), asked.lost + len(parts), most, where)


def _write(styled: Sequence[StyledStory], parts: dict[str, Part], seed: int, out: Path) -> dict[str, int]:
    """Writes archive and manifest of each story that has keyframes; returns how many it has."""
    from tasks.dreamframe.keyframe_archive import Keyframe, write_keyframes
    from tasks.dreamframe.keyframe_images import PICTURE_FILE, is_made
    from tasks.dreamframe.keyframe_requests import frame_seed, picture_name, prompt_of

    counts = {}
    with complete(out, folder=True) as folder:
        for item in styled:
            keyframes = []
            for frame in item.story.frames():
                part = parts[picture_name(item.story, frame, "learned")]
                if not is_made(part):
                    continue
                known = {name: part.statistics[name] for name in ("sha256", "width", "height")}
                keyframe = Keyframe(
                    id=frame.id, file=f"{frame.id}.png", prompt=prompt_of(item, frame, "learned"), text=frame.prompt,
                    place=frame.place, seed=frame_seed(seed, item.story, frame), **known,
                )  # fmt: skip
                keyframes.append((keyframe, part.folder / PICTURE_FILE))
            if keyframes:
                write_keyframes(folder, item.story.id, keyframes)
                counts[item.story.id] = len(keyframes)
    return counts


def _draw(styled: Sequence[StyledStory], parts: dict[str, Part], preview_stories: int, paths: Paths) -> None:
    from tasks.dreamframe.keyframe_sheets import save_comparison, save_substory_sheet

    with complete(paths.contact_sheets, folder=True) as folder:
        for item in styled:
            for substory in item.story.substories:
                save_substory_sheet(item.story, substory, parts, folder / f"{item.story.id}-{substory.id}.png")
    save_comparison(styled, parts, preview_stories, paths.figure)


def _scores(project: Any, styled: Sequence[StyledStory], parts: dict[str, Part]) -> dict[str, Any]:
    import torch

    from tasks.common.devices import select_device
    from tasks.dreamframe.image_similarity import ImageTextEncoder
    from tasks.dreamframe.keyframe_scores import score

    parameters: Parameters = project.keyframes
    device, _ = select_device(project.compute)
    encoder = ImageTextEncoder(parameters.image_encoder, parameters.image_encoder_revision, device, torch.float32)
    return score(styled, parts, encoder)


def make_keyframes(project: Any, paths: Paths) -> stage.Metrics:
    """Makes the keyframes of all stories, archives them with their manifests, draws them, and measures their style."""
    parameters: Parameters = project.keyframes
    made, asked = _made(project), _ask(project, paths)
    parts = _make(project, asked, made, paths)
    _set_aside(asked, parts, parameters.max_bad_fraction, paths.quarantine)
    scores = _scores(project, asked.styled, parts)
    counts = _write(asked.styled, parts, project.seed, paths.out)
    _draw(asked.styled, parts, parameters.preview_stories, paths)
    files = [paths.stories / f"{item.story.id}.json" for item in asked.styled] + [item.style.file for item in asked.styled]
    clip = checkpoint_identity(parameters.image_encoder, parameters.image_encoder_revision)
    provenance = {
        **made, "stage": "tasks.dreamframe.keyframes", "seed": project.seed,
        "checkpoints": {**made["checkpoints"], "clip": clip},
        "inputs": {file.name: file_sha256(file) for file in files},
    }  # fmt: skip
    write_json(paths.provenance, provenance)
    return {
        "keyframes": sum(counts.values()),
        "stories": len(counts),
        "quarantined": asked.quarantine.reasons.total(),
        "quarantined_by_reason": dict(sorted(asked.quarantine.reasons.items())),
        "prompts_cut": sum(part.statistics["prompt_cut"] for part in _keyframe_parts(asked.styled, parts)),
        **scores,
    }


if __name__ == "__main__":
    sys.exit(stage.main("keyframes", Paths, make_keyframes))
