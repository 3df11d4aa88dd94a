"""How alike pictures are, and how well they show a text, by the embeddings of a CLIP model.

Legend: N pictures or texts, M reference pictures, P width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.errors import UserError

_AT_ONCE = 16  # fixed, because the last bits depend on it


class ImageTextEncoder:
    """A CLIPModel with its tokenizer and image processor, from a folder or a hub id; safetensors only."""

    def __init__(self, checkpoint: str, revision: str | None, device: str | torch.device, dtype: torch.dtype) -> None:
        """Loads the model.

        Raises:
            UserError: a part is missing, damaged, or of another kind.
        """
        transformers_logging.disable_progress_bar()
        self._tokenizer: Any = load_part(CLIPTokenizer, checkpoint, revision)
        self._processor: Any = load_part(CLIPImageProcessorPil, checkpoint, revision)
        self._model: Any = load_weights(CLIPModel, checkpoint, revision, dtype=dtype).to(device)
        self._longest = self._model.config.text_config.max_position_embeddings
        if len(self._tokenizer) > self._model.config.text_config.vocab_size:
            raise UserError(f"{checkpoint}: its tokenizer has more tokens than its text encoder; they are not of one model")

    @torch.inference_mode()
    def images(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Unit vectors [N, P], float32 on the CPU, of pictures [height, width, 3]."""
        found = [torch.empty(0, self._model.config.projection_dim)]
        for start in range(0, len(images), _AT_ONCE):
            some = [Image.fromarray(pixels) for pixels in images[start : start + _AT_ONCE]]
            pixels_NCRR = self._processor(images=some, return_tensors="pt").pixel_values
            found.append(self._unit(self._model.get_image_features(pixels_NCRR.to(self._model.device, self._model.dtype))))
        return torch.cat(found)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [N, P], float32 on the CPU; longer texts are cut."""
        found = [torch.empty(0, self._model.config.projection_dim)]
        for start in range(0, len(texts), _AT_ONCE):
            tokens = self._tokenizer(
                list(texts[start : start + _AT_ONCE]), padding="max_length", truncation=True, max_length=self._longest,
                return_tensors="pt",
            ).to(self._model.device)  # fmt: skip
            found.append(self._unit(self._model.get_text_features(**tokens)))
        return torch.cat(found)

    @staticmethod
    def _unit(features: Any) -> Tensor:
        return torch.nn.functional.normalize(features.pooler_output.float().cpu(), dim=-1)


def style_consistency(stories: Sequence[Tensor]) -> dict[str, float | None]:
    """Mean cosine similarity of two keyframes.

    Args:
        stories: unit vectors [N, P] of each story's keyframes.

    Returns:
        `within`: of pairs of one story; `between`: of pairs of two stories; None where there is no such pair.
    """
    sums_SP = [vectors_NP.double().sum(0) for vectors_NP in stories]
    counts = [len(vectors_NP) for vectors_NP in stories]
    inside = sum(_pair_sum(vectors_NP) for vectors_NP in stories)
    pairs_inside = sum(count * (count - 1) // 2 for count in counts)
    across, pairs_across = 0.0, 0
    for index, sum_P in enumerate(sums_SP):
        for other in range(index):
            across += float(sum_P @ sums_SP[other])
            pairs_across += counts[index] * counts[other]
    return {
        "within": inside / pairs_inside if pairs_inside else None,
        "between": across / pairs_across if pairs_across else None,
    }


def _pair_sum(vectors_NP: Tensor) -> float:
    """Sum of the cosines of all pairs: half of what the square of the sum has beside the N squares."""
    total_P = vectors_NP.double().sum(0)
    return float(total_P @ total_P - vectors_NP.double().square().sum()) / 2


def text_alignment(images_NP: Tensor, texts_NP: Tensor) -> float | None:
    """Mean cosine similarity of each picture and its own text, both unit vectors; None where there is none."""
    return float((images_NP * texts_NP).sum(-1).mean()) if len(images_NP) else None


def similarity_to_references(images_NP: Tensor, references_MP: Tensor) -> float | None:
    """Mean cosine similarity of pictures and the mean embedding of the references; None where either is missing."""
    if not len(images_NP) or not len(references_MP):
        return None
    middle_P = torch.nn.functional.normalize(references_MP.mean(0), dim=0)
    return float((images_NP @ middle_P).mean())
