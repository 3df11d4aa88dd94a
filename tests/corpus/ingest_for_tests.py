"""The real stage `ingest`, run in this process on small archives."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.corpus_shards import Sample, read_samples, shard_files
from tasks.corpus.ingest import Paths, ingest
from tests.corpus.archives_for_tests import ROOT, jpeg

FIVE = [(f"images/image_{number}.jpg", jpeg(number)) for number in range(5)]
CAPTIONS = "key,caption\n" + "".join(f"image_{number},picture number {number}\n" for number in range(5))


@dataclass
class Run:
    """One run of the stage in a folder of its own; inputs lie where the test puts them."""

    folder: Path
    images: Path
    captions: Path

    def start(self, workers: int = 1, engine: str = "processes", **settings: Any) -> int:
        """The exit code, with some parameters of the toy profile changed."""
        self.write_parameters(workers, engine, **settings)
        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return stage.main("ingest", Paths, ingest, arguments=self.arguments)
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def write_parameters(self, workers: int, engine: str, **settings: Any) -> None:
        """The toy profile with some changes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        yaml = YAML(typ="safe", pure=True)
        parameters = yaml.load((ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8"))
        parameters["compute"].update(workers=workers, engine=engine)
        parameters["ingest"].update(settings)
        with (self.folder / "params.yaml").open("w", encoding="utf-8") as file:
            yaml.dump(parameters, file)

    @property
    def arguments(self) -> list[str]:
        """The stage's command line."""
        outputs = ("out", "index", "quarantine", "provenance", "metrics", "parts")
        options = {name: self.folder / name for name in outputs}
        options |= {"params": self.folder / "params.yaml", "images": self.images, "captions": self.captions}
        return [word for name, path in options.items() for word in (f"--{name}", str(path))]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics file."""
        found: dict[str, Any] = json.loads((self.folder / "metrics").read_text(encoding="utf-8"))
        return found

    @property
    def samples(self) -> dict[str, Sample]:
        """All samples of all shards by the name that their image had."""
        samples = [sample for shard in shard_files(self.folder / "out") for sample in read_samples(shard)]
        return {sample.facts["name"]: sample for sample in samples}

    @property
    def captions_by_name(self) -> dict[str, str]:
        """The caption that each image got."""
        return {name: sample.facts["caption"] for name, sample in self.samples.items()}

    @property
    def index(self) -> list[dict[str, Any]]:
        """The rows of the index."""
        rows: list[dict[str, Any]] = parquet.read_table(self.folder / "index").to_pylist()
        return rows

    @property
    def quarantined(self) -> list[tuple[str, str]]:
        """What was set aside and why."""
        lines = (self.folder / "quarantine").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        assert entries[0] == {"quarantined": len(entries) - 1}
        return [(entry["item"], entry["reason"]) for entry in entries[1:]]

    @property
    def results(self) -> dict[str, bytes]:
        """The bytes of every file that the stage leaves, except the part store."""
        files = [self.folder / name for name in ("index", "quarantine", "provenance", "metrics")] + shard_files(
            self.folder / "out"
        )
        return {file.name: file.read_bytes() for file in files}


def prepared(tmp_path: Path, archive: bytes, captions: str = CAPTIONS, run: str = "run") -> Run:
    """A run on one archive."""
    images, text = tmp_path / "image.tar.gz", tmp_path / "captions.csv"
    images.write_bytes(archive)
    text.write_text(captions, encoding="utf-8")
    return Run(tmp_path / run, images, text)


def folder_of_archives(tmp_path: Path, archives: dict[str, bytes], run: str = "run") -> Run:
    """A run on a folder of archives."""
    images = tmp_path / "raw"
    images.mkdir(exist_ok=True)
    for name, data in archives.items():
        (images / name).write_bytes(data)
    (tmp_path / "captions.csv").write_text(CAPTIONS, encoding="utf-8")
    return Run(tmp_path / run, images, tmp_path / "captions.csv")
