"""Training batches of the sprite detector, and the loss that ties boxes to the words of a text.

Legend: B images, K named objects of the batch, T tokens, L the model's longest text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor
from transformers.loss.loss_grounding_dino import GroundingDinoForObjectDetectionLoss

from tasks.spriteworld.detector_texts import Span, sample_text
from tasks.spriteworld.renders import Pool
from tasks.spriteworld.scene import CANVAS_PIXELS, Scene


def _centre_boxes(scene: Scene) -> torch.Tensor:
    corners_N4 = torch.tensor([item.box for item in scene.objects]) / CANVAS_PIXELS
    low, high = corners_N4[:, :2], corners_N4[:, 2:]
    return torch.cat([(low + high) / 2, high - low], dim=1)


def _token_mask(offsets_T2: NDArray[np.int64], spans: tuple[Span, ...]) -> NDArray[np.int64]:
    inside = [(offsets_T2[:, 0] >= start) & (offsets_T2[:, 1] <= end) for start, end in spans]
    mask: NDArray[np.int64] = (np.any(inside, axis=0) & (offsets_T2[:, 1] > 0)).astype(np.int64)
    return mask


def make_batch(
    pool: Pool, indices: NDArray[np.int64], random: np.random.Generator, processor: GroundingDinoProcessor
) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]], torch.Tensor]:
    """Model inputs, labels per image, and token masks [K, T] of the named objects.

    Labels number objects through the whole batch, so that one table of masks serves every image.
    """
    scenes = [pool.scenes[index] for index in indices]
    grounded = [sample_text(random, scene) for scene in scenes]
    tokens = processor.tokenizer(
        [item.text for item in grounded], padding=True, return_offsets_mapping=True, return_tensors="pt"
    )
    offsets_BT2 = tokens.pop("offset_mapping").numpy()
    masks: list[NDArray[np.int64]] = []
    labels: list[dict[str, torch.Tensor]] = []
    for scene, item, offsets_T2 in zip(scenes, grounded, offsets_BT2, strict=True):
        named = [index for index, spans in enumerate(item.spans) if spans]
        first = len(masks)
        masks += [_token_mask(offsets_T2, item.spans[index]) for index in named]
        labels.append({"class_labels": torch.arange(first, len(masks)), "boxes": _centre_boxes(scene)[named]})
    pixels = processor.image_processor(list(pool.pixels_NHWC[indices]), do_resize=False, return_tensors="pt")
    masks_KT = torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, offsets_BT2.shape[1], dtype=torch.int64)
    return {"pixel_values": pixels["pixel_values"], **tokens}, labels, masks_KT


def phrase_loss(model: GroundingDinoForObjectDetection, masks_KT: torch.Tensor) -> Any:
    """transformers' loss with token masks in place of the sentence fragments that it derives itself.

    The library numbers labels per image but offsets them by one image's count only; one table that every image shares makes
    both numberings the same.
    """
    masks_KL = torch.nn.functional.pad(masks_KT, (0, model.config.max_text_len - masks_KT.shape[1])).float()

    def loss(*arguments: Any, **named: Any) -> Any:
        logits, labels, device, boxes, config, own_maps, text_mask = arguments
        maps = (masks_KL,) * len(own_maps)
        return GroundingDinoForObjectDetectionLoss(logits, labels, device, boxes, config, maps, text_mask, **named)

    return loss
