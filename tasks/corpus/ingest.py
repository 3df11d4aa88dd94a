"""Stage `ingest`: image archives and a caption file to WebDataset shards and an index."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet as parquet
from pydantic import Field

from tasks.common import stage
from tasks.common.corpus_shards import SHARD_NAME
from tasks.common.errors import StageError, UserError
from tasks.common.files import complete, link_or_copy
from tasks.common.parameters import Section
from tasks.common.provenance import file_sha256, made_by
from tasks.common.quarantine import check_bad_share
from tasks.common.shard_engine import Part
from tasks.common.shard_stage import MappedFiles, map_files
from tasks.corpus.archive import Limits
from tasks.corpus.archive_to_shards import INDEX_SCHEMA, ArchiveJob, archive_to_shards
from tasks.corpus.captions import read_captions

_ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")


class Parameters(Section):
    """What to ingest and where to stop."""

    images: str = Field(min_length=1, description="an image archive, or a folder with several")
    captions: str = Field(min_length=1, description="CSV or parquet file of key and caption")
    images_per_shard: int = Field(ge=1, le=100_000, description="images in one shard of the corpus")
    least_side: int = Field(ge=1, le=4096, description="smaller images are quarantined, in pixels of the shorter side")
    most_pixels: int = Field(ge=1024, le=1_000_000_000, description="larger images are quarantined, width times height")
    most_members: int = Field(ge=1, le=100_000_000, description="files in one archive, then reading stops")
    most_member_bytes: int = Field(ge=1024, le=400_000_000, description="larger files in an archive are quarantined")
    most_archive_bytes: int = Field(ge=1024, le=2**50, description="unpacked size of one archive, then reading stops")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of bad images at which the stage fails")


@dataclass(frozen=True)
class Paths:
    """Image archives and captions in; shards, index, quarantine list, provenance and metrics out."""

    images: Path
    captions: Path
    out: Path
    index: Path
    quarantine: Path
    provenance: Path
    metrics: Path
    parts: Path


def find_archives(images: Path) -> list[Path]:
    """The archive itself, or the archives of a folder in order of name.

    Raises:
        UserError: there is none.
    """
    if images.is_file():
        return [images]
    if not images.is_dir():
        raise UserError(f"{images}: no such file or folder; ingest.images in params.yaml names it")
    names = sorted(path for path in images.iterdir() if path.is_file())
    archives = [path for path in names if path.name.lower().endswith(_ARCHIVE_ENDINGS) and path.name[0] != "."]
    if not archives:
        raise UserError(f"{images}: no .tar archive in this folder; put one there or name it in ingest.images")
    return archives


def _read_archives(project: Any, paths: Paths, archives: Sequence[Path]) -> MappedFiles:
    parameters: Parameters = project.ingest
    limits = Limits(parameters.most_members, parameters.most_member_bytes, parameters.most_archive_bytes)
    settings = {name: getattr(parameters, name) for name in ("images_per_shard", "least_side", "most_pixels")}
    sha256 = file_sha256(paths.captions)
    return map_files(
        archives,
        archive_to_shards,
        lambda archive: ArchiveJob(archive, paths.captions, sha256, limits, **settings),
        made_by("tasks.corpus.ingest", {**settings, **asdict(limits)}, captions_sha256=sha256),
        paths.parts,
        project.compute.model_copy(update={"num_gpus": 0.0}),  # decoding takes none
        "archives",
    )


def _check_unique_keys(parts: Sequence[Part]) -> None:
    columns = [parquet.read_table(part.folder / "index.parquet", columns=["key"])["key"] for part in parts]
    keys = pyarrow.chunked_array([chunk for column in columns for chunk in column.chunks], pyarrow.string())
    counted = keys.value_counts()
    twice = counted.filter(pyarrow.compute.greater(counted.field("counts"), 1))
    if len(twice):
        key = twice.field("values")[0].as_py()
        holders = [p.name for p, c in zip(parts, columns, strict=True) if pyarrow.compute.index(c, key).as_py() >= 0]
        raise UserError(
            f"keys stand in more than one archive ({len(twice)} in all), {key!r} in {' and '.join(holders)}; "
            "image names must differ between archives: rename them or ingest the archives one at a time"
        )


def _assemble(parts: Sequence[Part], paths: Paths) -> int:
    """Links the parts' shards into one numbered corpus and joins their indexes; returns the number of shards."""
    first = 0
    with (
        complete(paths.out, folder=True) as folder,
        complete(paths.index) as index_file,
        parquet.ParquetWriter(index_file, INDEX_SCHEMA) as index,
    ):
        for part in parts:
            shards = sorted(part.folder.glob("shard-*.tar"))
            for number, shard in enumerate(shards, start=first):
                link_or_copy(shard, folder / f"{SHARD_NAME.format(number)}.tar")
            table = parquet.read_table(part.folder / "index.parquet", schema=INDEX_SCHEMA)
            column = pyarrow.compute.add(table["shard"], pyarrow.scalar(first, pyarrow.int32()))
            index.write_table(table.set_column(table.schema.get_field_index("shard"), INDEX_SCHEMA.field("shard"), column))
            first += len(shards)
    return first


def ingest(project: Any, paths: Paths) -> stage.Metrics:
    """Ingests every archive (one part each, so a rerun does only what is new) and numbers the shards through."""
    parameters: Parameters = project.ingest
    archives = find_archives(paths.images)
    captions = read_captions(paths.captions)
    mapped = _read_archives(project, paths, archives)
    counts, quarantined = mapped.sum_of("counts"), mapped.sum_of("quarantined")
    mapped.write_records(paths.quarantine, paths.provenance)
    if not counts["images"]:
        raise StageError(f"{paths.images}: not one usable image; {paths.quarantine} says why for each")
    bad = counts["images_found"] - counts["images"] + counts["archives_cut_short"]
    check_bad_share(bad, counts["images_found"], parameters.max_bad_fraction, paths.quarantine)
    _check_unique_keys(mapped.parts)
    return {
        "archives": len(archives),
        "shards": _assemble(mapped.parts, paths),
        "images": counts["images"],
        "images_captioned": counts["captioned"],
        "captions": len(captions.by_key),
        "captions_without_image": len(captions.by_key) - counts["captioned"],
        "captions_without_text": captions.without_text,
        "captions_cut": captions.cut,
        "other_files_in_archives": counts["other_files"],
        "quarantined": sum(quarantined.values()),
        "quarantined_by_reason": dict(sorted(quarantined.items())),
    }


if __name__ == "__main__":
    sys.exit(stage.main("ingest", Paths, ingest))
