"""Stage `style`: each story's style, learned from images as vectors for a token of its own (specs/dreamframe.md C2)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.common import stage
from tasks.common.errors import StageError, UserError
from tasks.common.files import complete, link_or_copy, remove, write_json
from tasks.common.provenance import checkpoint_identity, digest, file_sha256, made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.common.seeds import item_seed
from tasks.common.shard_engine import Job, Part, run_jobs
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.dreamframe.story_tree import Story, read_stories
from tasks.dreamframe.style_parameters import Parameters
from tasks.dreamframe.style_requests import frame_prompts, image_prompts, style_phrase, token_of

__all__ = ["Parameters", "Paths", "learn_styles"]
LEAST_IMAGES = 3
_SCORES = ("fixed_loss_before", "fixed_loss_after", "style_similarity_before", "style_similarity_after")


@dataclass(frozen=True)
class Paths:
    """Stories in; styles and their images, quarantine list, provenance, contact sheet, curves and metrics out."""

    stories: Path
    out: Path
    quarantine: Path
    provenance: Path
    figure: Path
    curves: Path
    metrics: Path
    parts: Path


@dataclass
class Requests:
    """The stories whose style is learned, with its token, and why that of others is not."""

    styled: list[tuple[Story, str]] = field(default_factory=list)
    quarantine: Quarantine = field(default_factory=Quarantine)


def _requests(stories: Sequence[Story], parameters: Parameters) -> Requests:
    """Raises UserError if a token given in the parameters cannot be one; a story's own is set aside with it."""
    from transformers import CLIPTokenizer

    from tasks.common.checkpoint_loading import load_part
    from tasks.dreamframe.style_tokens import TextPart, check_token

    names = ("tokenizer", "tokenizer_2")
    tokenizers = [load_part(CLIPTokenizer, parameters.model, parameters.revision, subfolder=name) for name in names]
    parts = [TextPart(tokenizer, None) for tokenizer in tokenizers]
    if parameters.token is not None:
        check_token(parameters.token, parameters.vectors, parts)
    requests = Requests()
    for story in stories:
        token = parameters.token or token_of(story.style_keyword)
        if not token:
            requests.quarantine.add(story.id, "no-style-keyword", f"{story.style_keyword!r}; style.token can name the style")
        elif parameters.image_folder is None and not _image_prompts(story, parameters):
            requests.quarantine.add(story.id, "no-places", "nothing to make images of; style.image_folder can name some")
        else:
            try:
                check_token(token, parameters.vectors, parts)
                requests.styled.append((story, token))
            except UserError as error:
                requests.quarantine.add(story.id, "bad-token", str(error))
    return requests


def _image_prompts(story: Story, parameters: Parameters) -> list[str]:
    return image_prompts(story, parameters.template, parameters.images_per_place, parameters.images)


def _image_folder(story: Story, parameters: Parameters) -> Path | None:
    if parameters.image_folder is None:
        return None
    folder = Path(parameters.image_folder)
    return folder / story.id if (folder / story.id).is_dir() else folder


def _seed(project: Any, story: Story) -> int:
    return item_seed(project.seed, f"style:{story.id}")


def _make_images(project: Any, requests: Requests, paths: Paths) -> list[Part]:
    from tasks.dreamframe.style_images import ImagesJob, file_identity, image_files, make_style_images

    parameters: Parameters = project.style
    made = made_by("tasks.dreamframe.style_images", parameters.deciding_images())
    if parameters.image_folder is None:
        made |= {"checkpoint": checkpoint_identity(parameters.model, parameters.revision), "device": project.compute.device}
        made |= {"dtype": project.compute.dtype}
    jobs = []
    for story, _ in requests.styled:
        folder, seed = _image_folder(story, parameters), _seed(project, story)
        prompts = () if folder else tuple(_image_prompts(story, parameters))
        source = [file_identity(path) for path in image_files(folder)] if folder else [seed, *prompts]
        job = ImagesJob(story.id, prompts, folder, seed, parameters, project.compute)
        jobs.append(Job(story.id, digest([made, str(folder), source]), job))
    return run_jobs(jobs, make_style_images, paths.parts / "images", project.compute, "stories with style images")


def _set_aside(parts: Sequence[Part], stories: int, requests: Requests, paths: Paths, parameters: Parameters) -> None:
    lines = list(requests.quarantine.lines)
    for part in parts:
        lines += (part.folder / QUARANTINE_FILE).read_text(encoding="utf-8").splitlines()
    write_quarantine(lines, paths.quarantine)
    for part in parts:
        images = part.statistics["counts"]["images"]
        if images < LEAST_IMAGES:
            advice = "put more into style.image_folder" if parameters.image_folder else "raise style.images"
            aside = f", {paths.quarantine} says which are bad" if part.statistics["quarantined"] else ""
            raise UserError(f"{part.name}: {images} good style images, at least {LEAST_IMAGES} are needed; {advice}{aside}")
    items = stories + sum(part.statistics["counts"]["files"] for part in parts)
    check_bad_share(len(lines), items, parameters.max_bad_fraction, paths.quarantine)


def _made(project: Any) -> dict[str, Any]:
    """All that decides the styles beside their images, tokens and prompts."""
    parameters: Parameters = project.style
    checkpoints = {
        "model": (parameters.model, parameters.revision),
        "image_encoder": (parameters.image_encoder, parameters.image_encoder_revision),
    }
    return made_by(
        "tasks.dreamframe.style_learning",
        parameters.deciding_style(),
        checkpoints={name: checkpoint_identity(place, revision) for name, (place, revision) in checkpoints.items()},
        device=project.compute.device,
        dtype=project.compute.dtype,
    )


def _learn(project: Any, requests: Requests, images: Sequence[Part], made: dict[str, Any], paths: Paths) -> list[Part]:
    from tasks.dreamframe.style_images import IMAGES_FILE
    from tasks.dreamframe.style_learning import StyleJob, learn_style

    parameters: Parameters = project.style
    jobs = []
    for (story, token), part in zip(requests.styled, images, strict=True):
        seed, archive = _seed(project, story), part.folder / IMAGES_FILE
        facts = {
            "token": token, "vectors": parameters.vectors, "keyword": story.style_keyword, "story": story.id,
            "model": parameters.model, "revision": parameters.revision, "model_identity": made["checkpoints"]["model"],
            "images": part.statistics["counts"]["images"], "steps": parameters.steps, "seed": seed,
        }  # fmt: skip
        phrase, prompts = style_phrase(story), tuple(frame_prompts(story, token, parameters.evaluation_images))
        key = digest([made, facts, phrase, prompts, file_sha256(archive)])
        job = StyleJob(
            story.id, token, phrase, prompts, archive, seed, parameters, project.compute,
            (paths.parts / "training" / story.id, key), facts,
        )  # fmt: skip
        jobs.append(Job(story.id, key, job))
    parts = run_jobs(jobs, learn_style, paths.parts / "styles", project.compute, "styles")
    remove(paths.parts / "training")
    return parts


def _link(images: Sequence[Part], styles: Sequence[Part], out: Path) -> None:
    from tasks.dreamframe.style_images import IMAGES_FILE
    from tasks.dreamframe.style_learning import STYLE_FILE

    with complete(out, folder=True) as folder:
        for part, learned in zip(images, styles, strict=True):
            link_or_copy(part.folder / IMAGES_FILE, folder / f"{part.name}-images.tar")
            link_or_copy(learned.folder / STYLE_FILE, folder / f"{part.name}.safetensors")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _metrics(stories: int, images: Sequence[Part], styles: Sequence[Part], aside: Quarantine) -> stage.Metrics:
    """Scores are means over the stories."""
    reasons = sum((Counter(part.statistics["quarantined"]) for part in images), aside.reasons)
    scores = {name: _mean([part.statistics["scores"][name] for part in styles]) for name in _SCORES}
    before, after = scores["style_similarity_before"], scores["style_similarity_after"]
    return {
        "stories": stories,
        "styles": len(styles),
        "images": sum(part.statistics["counts"]["images"] for part in images),
        "quarantined": reasons.total(),
        "quarantined_by_reason": dict(sorted(reasons.items())),
        "steps": sum(part.statistics["counts"]["steps"] for part in styles),
        "skipped_steps": sum(part.statistics["counts"]["skipped_steps"] for part in styles),
        **scores,
        "style_similarity_gain": None if before is None or after is None else after - before,
    }


def learn_styles(project: Any, paths: Paths) -> stage.Metrics:
    """Makes or reads the style images of every story, learns the styles, and draws how they came about."""
    from tasks.dreamframe.style_figure import draw_styles, mean_curves

    parameters: Parameters = project.style
    if project.compute.dtype == "float16":
        raise UserError("compute.dtype = float16: gradients of a style are too small for it; set bfloat16 or float32")
    stories = read_stories(paths.stories)
    requests = _requests(stories, parameters)
    images = _make_images(project, requests, paths)
    _set_aside(images, len(stories), requests, paths, parameters)
    if not images:
        raise StageError(f"no story has a style that can be learned; {paths.quarantine} says why for each")
    made = _made(project)
    styles = _learn(project, requests, images, made, paths)
    _link(images, styles, paths.out)
    mean_curves([part.statistics["curves"] for part in styles]).write(paths.curves)
    draw_styles([(part.folder, learned.folder) for part, learned in zip(images, styles, strict=True)], paths.figure)
    inputs = {f"{story.id}.json": file_sha256(paths.stories / f"{story.id}.json") for story in stories}
    inputs |= {f"{part.name}-images.tar": file_sha256(paths.out / f"{part.name}-images.tar") for part in images}
    write_json(paths.provenance, {**made, "stage": "tasks.dreamframe.style", "seed": project.seed, "inputs": inputs})
    return _metrics(len(stories), images, styles, requests.quarantine)


if __name__ == "__main__":
    sys.exit(stage.main("style", Paths, learn_styles))
