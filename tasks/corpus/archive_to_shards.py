"""One image archive and its captions to WebDataset shards, an index, and a quarantine list."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet as parquet

from tasks.common.corpus_shards import CorpusShardWriter
from tasks.common.images import BadImage, DecodedImage, decode_image, looks_like_image
from tasks.common.quarantine import Quarantine, printable
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.corpus.archive import ArchiveEnd, Limits, Member, read_members
from tasks.corpus.captions import IMAGE_ENDINGS, Captions, normal_key, read_captions

INDEX_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("shard", pyarrow.int32()),
        ("captioned", pyarrow.bool_()),
        ("width", pyarrow.int32()),
        ("height", pyarrow.int32()),
        ("sha256", pyarrow.string()),
        ("source", pyarrow.string()),
    ]
)
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-]{1,120}")


class ArchiveJob(NamedTuple):
    """What a worker needs for one archive."""

    archive: Path
    captions: Path
    captions_sha256: str
    limits: Limits
    images_per_shard: int
    least_side: int
    most_pixels: int


class GoodImage(NamedTuple):
    """One image on its way into a shard."""

    key: str
    name: str
    decoded: DecodedImage
    source: str


@lru_cache(maxsize=1)
def _captions(path: Path, sha256: str) -> Captions:
    return read_captions(path)


def safe_key(name: str) -> str:
    """A WebDataset key for an image name: itself where it has only letters, digits, "-" and "_", else a slug and a hash."""
    if _SAFE_KEY.fullmatch(name):
        return name
    slug = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80].strip("_-")
    return f"{slug}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _good_images(job: ArchiveJob, quarantine: Quarantine, counts: Counter[str]) -> Iterator[GoodImage]:
    seen: set[str] = set()
    try:
        for member in read_members(job.archive, job.limits):
            source = f"{job.archive.name}/{member.name}"
            if not _is_image(member):
                counts["other_files"] += 1
                continue
            counts["images_found"] += 1
            name = normal_key(member.name)
            try:
                decoded = _decode(job, member, name in seen)
            except BadImage as bad:
                quarantine.add(source, bad.reason, bad.detail)
                continue
            seen.add(name)
            yield GoodImage(safe_key(name), name, decoded, printable(source))
    except ArchiveEnd as end:
        quarantine.add(job.archive.name, end.reason, end.detail)
        counts["archives_cut_short"] += 1


def _is_image(member: Member) -> bool:
    """Sound image files by content, bad ones by name; macOS resource forks ("._x.jpg") are not images."""
    name = PurePosixPath(member.name).name
    if name.startswith("._"):
        return False
    return bool(member.problem) or looks_like_image(member.data[:16]) or name.lower().endswith(IMAGE_ENDINGS)


def _decode(job: ArchiveJob, member: Member, known: bool) -> DecodedImage:
    if member.problem:
        raise BadImage(member.problem, member.detail)
    if known:
        raise BadImage("duplicate-key", "an earlier image of this archive has the same name")
    decoded = decode_image(member.data, job.most_pixels)
    if min(decoded.picture.size) < job.least_side:
        width, height = decoded.picture.size
        raise BadImage("too-small", f"{width}x{height}, shorter side below {job.least_side}")
    return decoded


def archive_to_shards(job: ArchiveJob, folder: Path) -> dict[str, Any]:
    """Writes `shard-NNNNNN.tar`, `index.parquet` and `quarantine.jsonl`; returns counts.

    Memory is bounded by one image, one shard's index rows, the names seen and the captions, whatever the archive's size.
    """
    captions = _captions(job.captions, job.captions_sha256)
    quarantine, counts = Quarantine(), Counter[str]()
    images = _good_images(job, quarantine, counts)
    with parquet.ParquetWriter(folder / "index.parquet", INDEX_SCHEMA) as index:
        for number in itertools.count():
            first = next(images, None)
            if first is None:
                break
            rest = itertools.islice(images, job.images_per_shard - 1)
            with CorpusShardWriter(folder / f"shard-{number:06d}.tar") as shard:
                rows = [
                    _write(shard, image, captions.by_key.get(image.name, ""), number)
                    for image in itertools.chain([first], rest)
                ]
            counts["images"] += len(rows)
            counts["captioned"] += sum(row["captioned"] for row in rows)
            index.write_table(pyarrow.Table.from_pylist(rows, INDEX_SCHEMA))
    quarantine.write(folder / QUARANTINE_FILE)
    return {"counts": dict(counts), "quarantined": dict(quarantine.reasons)}


def _write(shard: CorpusShardWriter, image: GoodImage, caption: str, number: int) -> dict[str, Any]:
    stored = image.decoded.stored
    width, height = image.decoded.picture.size
    facts = {"width": width, "height": height, "sha256": hashlib.sha256(stored).hexdigest(), "source": image.source}
    shard.write(image.key, stored, image.decoded.ending, {"caption": caption, "name": printable(image.name), **facts})
    return {"key": image.key, "shard": number, "captioned": bool(caption), **facts}
