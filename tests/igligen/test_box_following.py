"""Box following: the IoU of asked boxes, on real renders where it must be high, and on pictures of a random model."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.common.errors import StageError
from tasks.common.latent_files import LatentFacts, save_latents
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.detector import Detections, PhraseDetector
from tasks.igligen.adapters import add_adapters, set_adapters_enabled
from tasks.igligen.base_model import load_base_model
from tasks.igligen.box_following import BoxFollowing, best_ious
from tasks.igligen.grounded_corpus import Grounding, Layout
from tasks.spriteworld.render import render_scene
from tasks.spriteworld.scene import CANVAS_PIXELS, caption_of, sample_scene
from tests.igligen.training_for_tests import parameters

MODELS = Path(__file__).resolve().parents[2] / "models" / "sprite"


@pytest.fixture(scope="module")
def autoencoder() -> ImageAutoencoder:
    return ImageAutoencoder(str(MODELS / "autoencoder"), None, None, "cpu", torch.float32)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory, autoencoder: ImageAutoencoder) -> list[Layout]:
    """Ten scenes with their true boxes."""
    scenes = [sample_scene(np.random.default_rng(number)) for number in range(10)]
    file = tmp_path_factory.mktemp("latents") / "corpus-000000.safetensors"
    latents_NChw = autoencoder.encode(np.stack([render_scene(scene) for scene in scenes]), None)
    keys = [f"sprite_{number}" for number in range(len(scenes))]
    save_latents(file, latents_NChw.half(), LatentFacts(keys, "vae", None, autoencoder.scaling_factor, 64, "mode"))
    found = []
    for row, scene in enumerate(scenes):
        boxes = np.array([item.box for item in scene.objects], np.float32) / CANVAS_PIXELS
        phrases = [f"{item.colour} {item.class_name}" for item in scene.objects]
        found.append(Layout(keys[row], Grounding(caption_of(scene), boxes, phrases), (file, row)))
    return found


def follow(base: Any, autoencoder: ImageAutoencoder, layouts: list[Layout], **changes: Any) -> BoxFollowing:
    detector = PhraseDetector(str(MODELS / "detector"), None, "cpu", torch.float32)
    return BoxFollowing(base, autoencoder, detector, layouts, parameters(**changes), 0, contextlib.nullcontext)


def test_boxes_of_real_pictures_are_found(autoencoder: ImageAutoencoder, layouts: list[Layout]) -> None:
    followed = follow(None, autoencoder, layouts).of_real()
    assert followed.pictures_NRRC.shape == (10, 64, 64, 3)
    assert [len(ious) for ious in followed.ious] == [len(layout.grounding.phrases) for layout in layouts]
    assert followed.mean_iou > 0.8
    assert followed.share_followed > 0.8
    moved = [
        layout._replace(grounding=layout.grounding._replace(boxes_n4=np.roll(layout.grounding.boxes_n4, 1, axis=1)))
        for layout in layouts
    ]
    assert follow(None, autoencoder, moved).of_real().mean_iou < 0.4, "other boxes are not found there"


def test_new_adapters_change_no_picture(model: Path, autoencoder: ImageAutoencoder, layouts: list[Layout]) -> None:
    """The score before training is that of the base model, to the bit; a layout's picture is the same in any batch."""
    base = load_base_model(str(model), None, "cpu")
    add_adapters(base.unet)
    following = follow(base, autoencoder, layouts[:3])
    fresh = following.of_generated((4, 16, 16))
    set_adapters_enabled(base.unet, False)
    without = following.of_generated((4, 16, 16))
    assert np.array_equal(fresh.pictures_NRRC, without.pictures_NRRC)
    alone = follow(base, autoencoder, layouts[2:3]).of_generated((4, 16, 16))
    difference = np.abs(alone.pictures_NRRC[0].astype(int) - without.pictures_NRRC[2])
    assert difference.max() <= 1
    assert len({picture.tobytes() for picture in without.pictures_NRRC}) == 3


@pytest.mark.parametrize("part", ["unet", "detector"])
def test_memory_that_does_not_suffice(model: Path, autoencoder: ImageAutoencoder, layouts: list[Layout], part: str) -> None:
    """A device that holds two pictures at once, then one that holds one; the UNet sees two of each."""
    base = load_base_model(str(model), None, "cpu")
    add_adapters(base.unet)
    following = follow(base, autoencoder, layouts[:3])
    whole = following.of_generated((4, 16, 16))
    most = 2

    def limit(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
        count = len(inputs[0]) // 2 if part == "unet" else len(named["pixel_values"])
        if count > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    limited = base.unet if part == "unet" else following._detector.model
    limited.register_forward_pre_hook(limit, with_kwargs=True)
    halved = following.of_generated((4, 16, 16))
    assert np.abs(halved.pictures_NRRC.astype(int) - whole.pictures_NRRC).max() <= 1
    assert [len(ious) for ious in halved.ious] == [len(ious) for ious in whole.ious]
    most = 1
    with pytest.raises(StageError, match=r"2 pictures to measure at once.*Tried to allocate 20.00 MiB.*igligen\.batch"):
        following.of_generated((4, 16, 16))


def test_a_box_scores_its_best_detection_of_the_same_phrase() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1]], np.float32)
    asked = Grounding("", boxes, ["red car", "blue cats", "dog"])
    found_boxes = np.array([[0, 0, 0.5, 0.25], [0, 0, 0.5, 0.4], [0.5, 0.5, 1, 1]], np.float32)
    found = Detections(found_boxes, np.ones(3, np.float32), ["Red car", "red car", "red car"])
    assert best_ious(asked, found).tolist() == pytest.approx([0.8, 0, 0])
    assert best_ious(asked, Detections(boxes[:0], np.ones(0, np.float32), [])).tolist() == [0, 0, 0]
