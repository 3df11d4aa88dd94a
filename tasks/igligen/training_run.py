"""What the stage `igligen` works with: corpus, model, training, checkpoints and measurement, opened from the parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from tasks.common.devices import select_device
from tasks.common.errors import UserError
from tasks.common.provenance import checkpoint_identity, digest, file_sha256, made_by, path_sha256
from tasks.common.seeds import item_seed
from tasks.common.training_checkpoints import Checkpoints
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.detector import PhraseDetector
from tasks.igligen.adapter_files import load_adapters
from tasks.igligen.adapters import add_adapters, has_adapters
from tasks.igligen.base_model import BaseModel, load_base_model
from tasks.igligen.box_following import BoxFollowing
from tasks.igligen.grounded_corpus import BoxRule, GroundedCorpus, Layout, hold_out, read_corpus
from tasks.igligen.grounded_images import DropMix, GroundedImages
from tasks.igligen.parameters import Parameters
from tasks.igligen.training import Training, make_accelerator

_CHANGE_NO_RESULT = {"checkpoint_every", "preview_images", "workers"}


@dataclass(frozen=True)
class TrainingRun:
    """What one process works with. The first one also measures, keeps checkpoints and writes."""

    accelerator: Accelerator
    base: BaseModel
    corpus: GroundedCorpus
    layouts: list[Layout]
    training: Training
    checkpoints: Checkpoints
    made: dict[str, Any]

    @property
    def is_first(self) -> bool:
        """Whether this process is the first, or the only one."""
        return bool(self.accelerator.is_main_process)


def _load_model(parameters: Parameters, seed: int, accelerator: Accelerator) -> BaseModel:
    """The frozen model with adapters: those given, its own, or new ones that change nothing yet."""
    base = load_base_model(parameters.model, parameters.revision, accelerator.device)
    torch.manual_seed(seed)
    if not has_adapters(base.unet):
        add_adapters(base.unet)
    if parameters.adapters:
        load_adapters(base.unet, parameters.adapters, parameters.adapters_revision)
    return base


def _identity(checkpoint: str, revision: str | None) -> str:
    file = Path(checkpoint)
    return path_sha256(file) if file.is_file() else checkpoint_identity(checkpoint, revision)


def _made(project: Any, index: Path, boxes: Path, latents: Path, device: str, processes: int) -> dict[str, Any]:
    parameters: Parameters = project.igligen
    checkpoints = {
        "model": (parameters.model, parameters.revision),
        "adapters": (parameters.adapters, parameters.adapters_revision),
        "detector": (parameters.detector, parameters.detector_revision),
    }
    files = [index, *sorted(boxes.glob("*.parquet")), *sorted(latents.glob("*.safetensors"))]
    return made_by(
        "tasks.igligen.igligen",
        parameters.model_dump(exclude=_CHANGE_NO_RESULT),
        checkpoints={name: _identity(place, revision) for name, (place, revision) in checkpoints.items() if place},
        seed=project.seed,
        device=device,
        dtype=project.compute.dtype,
        processes=processes,
        inputs={file.name: file_sha256(file) for file in files},
    )


def open_run(project: Any, index: Path, boxes: Path, latents: Path, parts: Path) -> TrainingRun:
    """Reads the corpus, loads the model and readies the training, nothing trained yet.

    Raises:
        UserError: something is not there, cannot be read, or does not fit the rest.
    """
    parameters: Parameters = project.igligen
    device, _ = select_device(project.compute)
    torch.set_num_threads(parameters.cpu_threads)
    accelerator = make_accelerator(device, parameters.mixed_precision)
    rule = BoxRule(parameters.score_threshold, parameters.most_boxes)
    corpus, layouts = hold_out(read_corpus(boxes, latents, rule), parameters.evaluation_images)
    seed = item_seed(project.seed, "igligen")
    base = _load_model(parameters, seed, accelerator)
    if corpus.latent_shape[0] != base.unet.config.in_channels:
        raise UserError(
            f"{latents}: latents of {corpus.latent_shape[0]} channels, {parameters.model} takes "
            f"{base.unet.config.in_channels}; set latents.autoencoder to the model's own"
        )
    mix = DropMix(parameters.prob_use_boxes, parameters.prob_use_caption, parameters.no_caption_only)
    images = GroundedImages(corpus, mix, seed, parameters.shards_in_memory)
    made = _made(project, index, boxes, latents, device, accelerator.num_processes)
    training = Training(accelerator, base, images, parameters, seed)
    return TrainingRun(accelerator, base, corpus, layouts, training, Checkpoints(parts, digest(made)), made)


def open_box_following(run: TrainingRun, project: Any) -> BoxFollowing:
    """Loads autoencoder and detector to measure with.

    Raises:
        UserError: one of them cannot be loaded, or the autoencoder is not the one that encoded the corpus.
    """
    parameters: Parameters = project.igligen
    device, dtype = str(run.accelerator.device), getattr(torch, project.compute.dtype)
    autoencoder = ImageAutoencoder(parameters.model, parameters.revision, "vae", device, dtype)
    if not math.isclose(autoencoder.scaling_factor, run.corpus.scaling_factor, rel_tol=1e-4):
        raise UserError(
            f"{parameters.model}: its autoencoder scales latents by {autoencoder.scaling_factor}, those of the corpus are "
            f"scaled by {run.corpus.scaling_factor}; set latents.autoencoder to the model's own"
        )
    detector = PhraseDetector(parameters.detector, parameters.detector_revision, device, dtype)
    seed = item_seed(project.seed, "igligen")
    return BoxFollowing(run.base, autoencoder, detector, run.layouts, parameters, seed, run.accelerator.autocast)


def go_on(run: TrainingRun) -> None:
    """From the newest checkpoint, if there is one; all processes must find the same.

    Raises:
        UserError: they do not.
    """
    newest = run.checkpoints.newest()
    if newest is not None:
        run.training.restore(newest)
    steps = run.accelerator.gather(torch.tensor([run.training.step], device=run.accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise UserError(
            f"processes find checkpoints of steps {steps}; --parts must lie on a file system that all of them share"
        )
