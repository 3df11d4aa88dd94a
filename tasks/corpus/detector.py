"""Open-vocabulary detection with GroundingDINO: square crops and captions in, boxes with phrases out.

Rules of the LVD specification, section 6.1: a box scores its most probable token; its phrase is made of the tokens above the
text threshold in that token's sentence fragment.

Legend: B images, Q queries, T tokens, N kept boxes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.common.checkpoint_loading import load_part, load_weights

_CAPTION_FILLER = "The image features "


@dataclass
class Detections:
    """Boxes of one image: (x0, y0, x1, y1) in 0..1 of the square crop, best score first; dropped ones counted by reason."""

    boxes_N4: NDArray[np.float32]
    scores_N: NDArray[np.float32]
    phrases: list[str]
    dropped: Counter[str] = field(default_factory=Counter)


def query_text(caption: str) -> str:
    """The caption as GroundingDINO is asked: filler removed, lower case, one final full stop (spec 6.1)."""
    return caption.replace(_CAPTION_FILLER, "").lower().strip().rstrip(".").rstrip() + "."


def corners_from_centres(boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
    """(centre x, centre y, width, height) to (x0, y0, x1, y1), clipped to 0..1; NaN stays NaN."""
    centres, halves = boxes_N4[:, :2], boxes_N4[:, 2:] / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=1)
    return np.asarray(np.clip(corners, 0, 1), dtype=np.float32)


def usable_boxes(boxes_N4: NDArray[np.float32], scores_N: NDArray[np.float32], phrases: Sequence[str]) -> Detections:
    """Keeps finite boxes with an area and a phrase, best score first; counts the others by reason."""
    finite_N = np.isfinite(boxes_N4).all(axis=1) & np.isfinite(scores_N)
    area_N = (boxes_N4[:, 2] > boxes_N4[:, 0]) & (boxes_N4[:, 3] > boxes_N4[:, 1])
    named_N = np.array([bool(words) for words in phrases], dtype=bool)
    reasons = {"not-finite": ~finite_N, "no-area": finite_N & ~area_N, "no-phrase": finite_N & area_N & ~named_N}
    dropped = Counter({reason: int(mask.sum()) for reason, mask in reasons.items() if mask.any()})
    kept = np.flatnonzero(finite_N & area_N & named_N)
    kept = kept[np.argsort(-scores_N[kept], kind="stable")]
    return Detections(boxes_N4[kept], scores_N[kept], [phrases[index] for index in kept.tolist()], dropped)


class Answer(NamedTuple):
    """What the model says of a batch: probabilities [B, Q, T], centre boxes [B, Q, 4], token ids [B, T]."""

    probabilities_BQT: NDArray[np.float32]
    boxes_BQ4: NDArray[np.float32]
    ids_BT: NDArray[np.int64]


class PixelScale(NamedTuple):
    """How pixel levels 0..255 become model inputs: (level * factor - mean) / deviation, means and deviations per channel."""

    factor: float
    mean: Sequence[float]
    deviation: Sequence[float]


class Detector(ABC):
    """What every back-end does alike: inputs, scores and phrases. `device` and `dtype` are those of the model's inputs."""

    def __init__(self, tokenizer: Any, scale: PixelScale, most_tokens: int, device: str, dtype: torch.dtype) -> None:
        self.tokenizer, self.most_tokens = tokenizer, most_tokens
        self.device, self.dtype = device, dtype
        self._scale = scale.factor
        self._mean, self._deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (scale.mean, scale.deviation))
        self._separators = [*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids([".", "?"])]

    @abstractmethod
    def _call(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The model's logits [B, Q, T or more] and centre boxes [B, Q, 4] for what `prepare` made, on its device."""

    def prepare(self, crops: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Model inputs for square RGB crops [R, R, 3] of one size; texts beyond the model's length are cut.

        Pixels are scaled as the checkpoint's image processor says, a batch at a time (that one goes image by image).
        """
        levels_BCRR = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
        pixels_BCRR = (levels_BCRR * self._scale - self._mean) / self._deviation
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=self.most_tokens, return_tensors="pt")
        return {"pixel_values": pixels_BCRR.to(self.dtype), **tokens}

    def is_cut(self, text: str) -> bool:
        """Whether the text is longer than the model reads; a token has one character or more."""
        if len(text) < self.most_tokens - 2:
            return False
        return len(self.tokenizer(text, truncation=False, verbose=False)["input_ids"]) > self.most_tokens

    @torch.inference_mode()
    def answer(self, inputs: dict[str, torch.Tensor]) -> Answer:
        """The model's call on what `prepare` made."""
        logits_BQT, boxes_BQ4 = self._call({name: tensor.to(self.device) for name, tensor in inputs.items()})
        ids_BT = inputs["input_ids"].numpy()
        logits_BQT = logits_BQT[..., : ids_BT.shape[1]].float()
        return Answer(logits_BQT.sigmoid().cpu().numpy(), boxes_BQ4.float().cpu().numpy(), ids_BT)

    def select(self, answer: Answer, box_threshold: float, text_threshold: float) -> list[Detections]:
        """One `Detections` per crop; see the module's rules for score and phrase."""
        probabilities_BQT, boxes_BQ4, ids_BT = answer
        separators_BT = np.isin(ids_BT, self._separators)
        scores_BQ = probabilities_BQT.max(axis=2)
        kept_BQ = (scores_BQ > box_threshold) | ~np.isfinite(scores_BQ)
        found = []
        for image, kept_Q in enumerate(kept_BQ):
            probabilities_NT = probabilities_BQT[image, kept_Q]
            phrases = [
                self._phrase(row_T, ids_BT[image], separators_BT[image], text_threshold) for row_T in probabilities_NT
            ]
            corners_N4 = corners_from_centres(boxes_BQ4[image, kept_Q])
            found.append(usable_boxes(corners_N4, scores_BQ[image, kept_Q], phrases))
        return found

    def _phrase(
        self,
        probabilities_T: NDArray[np.float32],
        ids_T: NDArray[np.int64],
        separators_T: NDArray[np.bool_],
        text_threshold: float,
    ) -> str:
        """Likely tokens of the sentence fragment that holds the likeliest one; nothing if that one is a full stop."""
        best = int(probabilities_T.argmax())
        if separators_T[best]:
            return ""
        fragments_T = np.cumsum(separators_T)
        chosen_T = (probabilities_T > text_threshold) & (fragments_T == fragments_T[best]) & ~separators_T
        return str(self.tokenizer.decode(ids_T[chosen_T].tolist())).replace(".", "").strip()


class PhraseDetector(Detector):
    """A GroundingDINO checkpoint of transformers, from a folder or a hub id; safetensors only."""

    def __init__(self, checkpoint: str, revision: str | None, device: str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self.processor = load_part(AutoProcessor, checkpoint, revision)
        self.model = load_weights(AutoModelForZeroShotObjectDetection, checkpoint, revision, dtype=dtype).to(device)
        images, tokenizer = self.processor.image_processor, self.processor.tokenizer
        scale = PixelScale(float(images.rescale_factor), images.image_mean, images.image_std)
        most_tokens = min(int(self.model.config.max_text_len), int(tokenizer.model_max_length))
        super().__init__(tokenizer, scale, most_tokens, device, dtype)

    def _call(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.model(**inputs)
        return outputs.logits, outputs.pred_boxes
