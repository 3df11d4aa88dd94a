"""Which code detects: transformers, or GroundingDINO's own package. What each takes, and what identifies its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from tasks.common.errors import UserError
from tasks.common.provenance import checkpoint_identity, file_sha256
from tasks.corpus.detector import Detector, PhraseDetector
from tasks.corpus.groundingdino_compatibility import let_torchvision_import, package_version
from tasks.corpus.groundingdino_files import read_config, text_encoder_source


class DetectorSettings(NamedTuple):
    """How boxes are detected; also written into each parquet file's metadata."""

    backend: str
    detector: str
    revision: str | None
    config: str | None
    text_encoder: str | None
    resolution: int
    box_threshold: float
    text_threshold: float
    batch: int
    keep_empty: bool


def _check(settings: DetectorSettings) -> None:
    if settings.backend == "groundingdino" and settings.config is None:
        raise UserError("boxes.config = null: name the checkpoint's configuration file, such as GroundingDINO_SwinT_OGC.py")
    takers = {"revision": "transformers", "config": "groundingdino", "text_encoder": "groundingdino"}
    for name, taker in takers.items():
        if settings.backend != taker and getattr(settings, name) is not None:
            raise UserError(f"boxes.{name}: only boxes.backend = {taker} takes one; set it to null")


def detector_identity(settings: DetectorSettings) -> str | dict[str, str]:
    """What of the detector's own files decides its results: hashes, or `id@revision` of what comes from the hub.

    Raises:
        UserError: files or packages that the back-end needs are missing, or settings do not go together.
    """
    _check(settings)
    if settings.config is None:
        return checkpoint_identity(settings.detector, settings.revision)
    version = package_version()
    source = text_encoder_source(settings.text_encoder, read_config(Path(settings.config)))
    if not Path(settings.detector).is_file():
        raise UserError(f"boxes.detector = {settings.detector}: no such file; name an original checkpoint, a .pth file")
    return {
        "weights": file_sha256(Path(settings.detector)),
        "config": file_sha256(Path(settings.config)),
        "text_encoder": checkpoint_identity(source, None),
        "groundingdino-py": version,
    }


def open_detector(settings: DetectorSettings, device: str, dtype: torch.dtype) -> Detector:
    """The detector with its weights on `device`.

    Raises:
        UserError: a file or package is missing or does not fit, or settings do not go together.
    """
    _check(settings)
    if settings.config is None:
        let_torchvision_import()
        return PhraseDetector(settings.detector, settings.revision, device, dtype)
    from tasks.corpus.groundingdino_package import PackageDetector

    return PackageDetector(Path(settings.detector), Path(settings.config), settings.text_encoder, device, dtype)
