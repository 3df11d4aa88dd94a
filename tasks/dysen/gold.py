"""Stage `gold`: gold dynamic scene graphs, exact ones of sprite clips, and others from captions and frames of videos."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete, write_json
from tasks.common.names import safe_name
from tasks.common.parameters import Section
from tasks.common.provenance import checkpoint_identity, file_sha256, made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dysen.gold_sources.annotation_rows import AnnotatedVideo
from tasks.dysen.gold_sources.annotations import Format, read_annotations

if TYPE_CHECKING:
    from tasks.corpus.detector import PhraseDetector
    from tasks.dysen.gold_sources.gold_annotations import Telling
    from tasks.dysen.gold_sources.gold_frames import FrameReader
    from tasks.dysen.gold_sources.gold_sprites import SpriteGold

_OWN_NAMES = ("candidates", "train", "heldout", "merged", "origins")


class Annotations(Section):
    """A file of annotations as a data set has it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="of the set; its graphs are NAME.jsonl")
    format: Format = Field(description="the data set's own format")
    path: str = Field(min_length=1, description="of the file, such as data/raw/train.json")
    split: str | None = Field(description="only this split, such as test for MSR-VTT; null for all")
    most: int = Field(ge=1, le=10_000_000, description="videos, at most")
    videos: str | None = Field(description="the folder with the videos in MP4; null for gold from captions alone")


class Parameters(Section):
    """How many sprite clips there are, how frames are looked at, and which annotations are read."""

    candidates: int = Field(ge=1, le=10_000, description="clips for examples in prompts")
    train: int = Field(ge=1, le=100_000, description="clips for learning which examples are good")
    heldout: int = Field(ge=1, le=100_000, description="clips for tests; the same whatever the other numbers are")
    most_actors: int = Field(ge=1, le=4, description="sprites of a clip, at most")
    last_tick: int = Field(ge=2, le=64, description="a clip has one frame more; videos have as many ticks")
    frames_checked: int = Field(ge=0, le=100_000, description="held-out clips that a detector looks at, at most")
    preview_clips: int = Field(ge=0, le=1000, description="held-out clips that are drawn")
    detector: str = Field(min_length=1, description="GroundingDINO checkpoint: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    resolution: int = Field(ge=32, le=2048, description="frames are stretched to this many pixels a side")
    box_threshold: float = Field(gt=0, lt=1, description="least score of a box")
    text_threshold: float = Field(gt=0, lt=1, description="least probability of a token in a box's phrase")
    batch: int = Field(ge=1, le=1024, description="frames per model call")
    annotations: list[Annotations] = Field(max_length=100, description="files that are read besides")
    sentences_per_video: int = Field(ge=1, le=1000, description="captions without times of a video, each its own graph")
    least_actions: int = Field(
        ge=1, le=1000, description="videos with fewer sentences with times are left out; 3 as published"
    )
    max_bad_fraction: float = Field(ge=0, le=1, description="share of items that cannot be used, at most")

    @model_validator(mode="after")
    def _names_differ(self) -> Parameters:
        names = [*_OWN_NAMES, *(item.name for item in self.annotations)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"annotations: the name {twice} is taken; give the set another")
        return self


@dataclass(frozen=True)
class Paths:
    """Gold graphs as SET.jsonl with their origins out, frames of clips as PNG strips, lists and metrics."""

    out: Path
    clips: Path
    quarantine: Path
    provenance: Path
    metrics: Path


def _frame_reader(project: Any) -> FrameReader:
    from tasks.dysen.gold_sources.gold_frames import FrameReader, Looking

    parameters: Parameters = project.gold

    def opened() -> PhraseDetector:
        from tasks.common.devices import select_device
        from tasks.corpus.detector import PhraseDetector

        return PhraseDetector(parameters.detector, parameters.revision, *select_device(project.compute))

    return FrameReader(opened, Looking(**{name: getattr(parameters, name) for name in Looking._fields}))


def _telling(project: Any) -> Telling:
    from tasks.dysen.clauses.clause_events import ClauseEventParser
    from tasks.dysen.gold_sources.gold_annotations import Telling

    parameters: Parameters = project.gold
    parser = ClauseEventParser().events_of_all
    return Telling(parser, parameters.last_tick, parameters.sentences_per_video, _frame_reader(project))


def _sprite_sets(project: Any) -> dict[str, list[SpriteGold]]:
    from tasks.dysen.gold_sources.gold_sprites import sprite_golds

    parameters: Parameters = project.gold
    counts = {name: getattr(parameters, name) for name in ("heldout", "candidates", "train")}  # what tests use comes first
    return sprite_golds(counts, project.seed, parameters.last_tick, parameters.most_actors)


def _enough_actions(videos: Iterable[AnnotatedVideo], least: int, left_out: Counter[str]) -> Iterator[AnnotatedVideo]:
    """Videos without times, and those with as many sentences as are wanted."""
    for video in videos:
        if 0 < len(video.segments) < least:
            left_out["left_out"] += 1
        else:
            yield video


def _annotate(item: Annotations, project: Any, telling: Telling, folder: Path, quarantine: Quarantine) -> dict[str, int]:
    """Writes the graphs of annotated videos as they come, a line each; their videos and origins in two more files."""
    from tasks.dysen.gold_sources.gold_annotations import annotated_golds
    from tasks.dysen.gold_sources.gold_checks import size_of

    counts: Counter[str] = Counter()
    where = Path(item.videos) if item.videos else None
    if where and not where.is_dir():
        raise UserError(f"{where}: no such folder; gold.annotations names it as the videos of {item.name}")
    read = read_annotations(Path(item.path), item.format, item.split, item.most, quarantine)
    videos = _enough_actions(read, project.gold.least_actions, counts)
    with ExitStack() as stack:
        graphs, listed, origins = (
            stack.enter_context((folder / f"{item.name}{ending}.jsonl").open("w", encoding="utf-8", newline="\n"))
            for ending in ("", ".videos", ".origins")
        )
        for video, merged in annotated_golds(videos, where, telling, quarantine):
            graphs.write(merged.graph.model_dump_json() + "\n")
            entry = {name: getattr(video, name) for name in ("id", "path", "split", "duration_s")}
            listed.write(json.dumps(entry) + "\n")
            origins.writelines(origin.model_dump_json() + "\n" for origin in merged.origins)
            counts.update(size_of([merged.graph]))
    if not counts["graphs"]:
        raise UserError(f"{item.path}: no video is left; lower gold.least_actions, or mend gold.annotations")
    return dict(counts)


def _draw(golds: Sequence[SpriteGold], folder: Path) -> None:
    """The frames of each clip side by side, in a file named after its caption."""
    import numpy as np
    from PIL import Image

    from tasks.spriteworld.clips import render_clip

    for gold in golds:
        Image.fromarray(np.concatenate(list(render_clip(gold.clip)), axis=1)).save(
            folder / f"{safe_name(gold.graph.prompt)}.png"
        )


def _provenance(project: Any) -> dict[str, Any]:
    parameters: Parameters = project.gold
    settings = {"gold": parameters.model_dump(), "seed": project.seed}
    more = {
        "checkpoint": checkpoint_identity(parameters.detector, parameters.revision),
        "annotations": {item.name: file_sha256(Path(item.path)) for item in parameters.annotations},
        "device": project.compute.device,
        "dtype": project.compute.dtype,
    }
    return made_by("tasks.dysen.gold", settings, **more)


def make_gold(project: Any, paths: Paths) -> stage.Metrics:
    """Writes all sets of gold graphs, and measures those from captions and frames against exact ones."""
    from tasks.dysen.gold_sources.gold_checks import check_clips, size_of
    from tasks.dysen.gold_sources.gold_origins import write_origins
    from tasks.dysen.graphs.dynamic_scene_graph import write_graphs

    parameters: Parameters = project.gold
    quarantine, telling = Quarantine(), _telling(project)
    sprites = _sprite_sets(project)
    sizes = {name: size_of([gold.graph for gold in golds]) for name, golds in sprites.items()}
    with complete(paths.out, folder=True) as folder, complete(paths.clips, folder=True) as clips:
        for name, golds in sprites.items():
            write_graphs(folder / f"{name}.jsonl", [gold.graph for gold in golds])
        checked = check_clips(sprites["heldout"][: parameters.frames_checked], telling)
        write_graphs(folder / "merged.jsonl", [merged.graph for merged in checked.merged])
        write_origins(folder / "origins.jsonl", [origin for merged in checked.merged for origin in merged.origins])
        for item in parameters.annotations:
            sizes[item.name] = _annotate(item, project, telling, folder, quarantine)
        _draw(sprites["heldout"][: parameters.preview_clips], clips)
        write_quarantine(quarantine.lines, paths.quarantine)
        read = sum(sizes[item.name]["graphs"] for item in parameters.annotations)
        bad = len(quarantine.lines)
        check_bad_share(bad, read + bad, parameters.max_bad_fraction, paths.quarantine)
    write_json(paths.provenance, _provenance(project))
    reasons = dict(sorted(quarantine.reasons.items()))
    return {"sets": sizes, "checked": checked.metrics, "quarantined": bad, "quarantined_by_reason": reasons}


if __name__ == "__main__":
    sys.exit(stage.main("gold", Paths, make_gold))
