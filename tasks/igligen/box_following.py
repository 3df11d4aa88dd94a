"""Whether pictures have their objects where boxes ask for them: generate, detect, compare.

A loss curve does not show when adapters begin to work; this does. Pictures are made from held-out layouts, with the same
noise every time, a detector looks for the phrases, and each asked box scores its intersection over union (IoU) with the best
detection of the same phrase, 0 without one.

Legend: N layouts, B of them at once, n boxes of one, R pixels a side, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tasks.common.box_matching import pairwise_iou
from tasks.common.contact_sheet import LabelledBox, Tile, save_contact_sheet
from tasks.common.device_memory import within_memory
from tasks.common.images import square_crop
from tasks.common.latent_files import load_latents
from tasks.common.prefetch import batches
from tasks.common.seeds import item_seed
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.detector import Detections, PhraseDetector, query_text
from tasks.igligen.base_model import BaseModel, Denoiser
from tasks.igligen.grounded_corpus import Grounding, Layout
from tasks.igligen.grounded_images import fill_slots
from tasks.igligen.parameters import Parameters

_TILE_PIXELS = (192, 192)
_FOLLOWED = 0.5


class Followed(NamedTuple):
    """Pictures [N, R, R, 3] of the layouts, and the IoU of each layout's boxes."""

    pictures_NRRC: NDArray[np.uint8]
    ious: list[NDArray[np.float64]]

    @property
    def mean_iou(self) -> float:
        """Over all boxes of all layouts."""
        return float(np.concatenate(self.ious).mean())

    @property
    def share_followed(self) -> float:
        """Share of boxes with an IoU above one half."""
        return float((np.concatenate(self.ious) > _FOLLOWED).mean())


def best_ious(asked: Grounding, found: Detections) -> NDArray[np.float64]:
    """For each asked box, the highest IoU with a detection of the same phrase [n]; 0 if there is none."""
    same = np.array([[wanted.lower() == phrase.lower() for phrase in found.phrases] for wanted in asked.phrases])
    if not found.phrases:
        return np.zeros(len(asked.phrases))
    best: NDArray[np.float64] = np.where(same, pairwise_iou(asked.boxes_n4, found.boxes_N4), 0).max(axis=1)
    return best


class BoxFollowing:
    """Measures a base model with the adapters that it has at that moment."""

    def __init__(
        self,
        base: BaseModel,
        autoencoder: ImageAutoencoder,
        detector: PhraseDetector,
        layouts: Sequence[Layout],
        parameters: Parameters,
        seed: int,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        """Takes models and layouts, and the precision that the UNet runs in.

        The noise that a layout starts from depends on the seed and its key.
        """
        self._base, self._autoencoder, self._detector = base, autoencoder, detector
        self._layouts, self._parameters, self._seed, self._autocast = layouts, parameters, seed, autocast

    def _noise(self, layout: Layout, shape_Chw: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(item_seed(self._seed, f"evaluation:{layout.key}"))
        return torch.randn(shape_Chw, generator=generator)

    def _inputs(self, groundings: Sequence[Grounding]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Caption states, boxes, phrase embeddings and mask, on the model's device."""
        device, slots = self._base.unet.device, self._parameters.most_boxes
        boxes_BS4, mask_BS = fill_slots(groundings, slots)
        states_BTW = self._base.captions([item.caption for item in groundings])
        phrases_BSW = self._base.phrase_slots([item.phrases for item in groundings], slots)
        return states_BTW, boxes_BS4.to(device), phrases_BSW, mask_BS.to(device)

    def _generate(self, layouts: Sequence[Layout], shape_Chw: tuple[int, ...]) -> Tensor:
        """Latents [B, C, h, w]; the unconditional half sees neither caption nor boxes."""
        scale, denoiser = self._parameters.evaluation_guidance_scale, Denoiser(self._base.unet)
        scheduler = DPMSolverMultistepScheduler.from_config(self._base.scheduler.config)
        scheduler.set_timesteps(self._parameters.evaluation_steps)
        nothing = Grounding("", np.zeros((0, 4), np.float32), [])
        inputs = self._inputs([*[nothing] * len(layouts), *(layout.grounding for layout in layouts)])
        noise_BChw = torch.stack([self._noise(layout, shape_Chw) for layout in layouts]).to(self._base.unet.device)
        latents_BChw = noise_BChw * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([latents_BChw] * 2), timestep)
            timesteps = timestep.to(both.device).expand(len(both))
            with self._autocast():
                predicted = denoiser(both, timesteps, *inputs)
            without, given = predicted.float().chunk(2)
            latents_BChw = scheduler.step(without + scale * (given - without), timestep, latents_BChw).prev_sample
        result_BChw: Tensor = latents_BChw
        return result_BChw

    def _detect(self, pictures: NDArray[np.uint8], layouts: Sequence[Layout]) -> list[NDArray[np.float64]]:
        parameters = self._parameters
        crops = [square_crop(Image.fromarray(picture), parameters.detector_resolution) for picture in pictures]
        texts = [query_text(". ".join(dict.fromkeys(layout.grounding.phrases))) for layout in layouts]
        answer = self._detector.answer(self._detector.prepare(crops, texts))
        found = self._detector.select(answer, parameters.box_threshold, parameters.text_threshold)
        return [best_ious(layout.grounding, item) for layout, item in zip(layouts, found, strict=True)]

    def _measure(self, latents_NChw: Sequence[Tensor], size: int) -> Followed:
        pictures, ious = [], list[NDArray[np.float64]]()
        for start in range(0, len(self._layouts), size):
            some = self._autoencoder.decode(torch.stack(list(latents_NChw[start : start + size])))
            pictures.append(some)
            ious += self._detect(some, self._layouts[start : start + size])
        return Followed(np.concatenate(pictures), ious)

    def _within_memory(self, work: Callable[[int], Followed]) -> Followed:
        parameters = self._parameters
        advice = "lower igligen.batch and raise igligen.accumulate by the same factor, or lower detector_resolution"
        return within_memory(work, min(parameters.batch, len(self._layouts)), "pictures to measure", advice)

    @torch.no_grad()
    def of_generated(self, shape_Chw: tuple[int, ...]) -> Followed:
        """Pictures that the model makes of the layouts from latent noise of this shape.

        Raises:
            StageError: memory does not suffice, not even for half of a batch.
        """

        def work(size: int) -> Followed:
            parts = [self._generate(some, shape_Chw) for some in batches(self._layouts, size)]
            return self._measure([latents_Chw for part in parts for latents_Chw in part.unbind()], size)

        return self._within_memory(work)

    def of_real(self) -> Followed:
        """The held-out pictures themselves: what a perfect model would reach with this detector.

        Raises:
            StageError: memory does not suffice, not even for half of a batch.
        """
        rows = [(load_latents(file)[0], row) for file, row in (layout.latent for layout in self._layouts)]
        return self._within_memory(
            lambda size: self._measure([latents_NChw[row].float() for latents_NChw, row in rows], size)
        )


def save_comparison(layouts: Sequence[Layout], before: Followed, after: Followed, most: int, target: Path) -> None:
    """A contact sheet: each layout's boxes on the picture without adapters and on the one with them, side by side."""
    tiles = []
    for index, layout in enumerate(layouts[:most]):
        boxes = [
            LabelledBox(tuple(box), phrase)
            for box, phrase in zip(layout.grounding.boxes_n4.tolist(), layout.grounding.phrases, strict=True)
        ]
        for state, title in ((before, f"before: {layout.grounding.caption}"), (after, "after")):
            tiles.append(Tile(state.pictures_NRRC[index], boxes, f"IoU {state.ious[index].mean():.2f} {title}"))
    save_contact_sheet(tiles, columns=6, size=_TILE_PIXELS, target=target)
