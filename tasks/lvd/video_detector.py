"""What an open-vocabulary detector sees in video frames: OWL-ViT as in the benchmark, or GroundingDINO (specs/lvd.md 5).

Frames of any size are stretched to the square that the detector reads. Boxes come back as fractions of width and height, as
layouts have them, so a frame that is not square needs no other treatment.

Legend: F frames, B of them in one call, R side of the square, Q queries, P proposals (what the model always answers with),
T tokens, N kept boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoConfig, AutoProcessor, OwlViTForObjectDetection
from transformers.utils import logging as transformers_logging

from tasks.common.box_matching import pairwise_iou
from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.device_memory import within_memory
from tasks.common.errors import StageError, UserError
from tasks.common.quarantine import printable
from tasks.corpus.detector import PhraseDetector, corners_from_centres

Frames = NDArray[np.uint8]
Answer = tuple[NDArray[np.float64], NDArray[np.float32]]
"""How well each query fits each proposal [B, P, Q] in 0..1, and the proposals as centre boxes [B, P, 4]."""


class FrameDetections(NamedTuple):
    """Boxes of one frame, best score first.

    Attributes:
        boxes_N4: (x0, y0, x1, y1) in 0..1.
        scores_N: in 0..1.
        labels_N: which query fits each box best.
    """

    boxes_N4: NDArray[np.float32]
    scores_N: NDArray[np.float32]
    labels_N: NDArray[np.intp]

    def only(self, kept: NDArray[np.intp]) -> FrameDetections:
        """The boxes of these places, in this order."""
        return FrameDetections(self.boxes_N4[kept], self.scores_N[kept], self.labels_N[kept])


class _QueryModel(Protocol):
    resample: Image.Resampling

    def ask(self, frames_BRRC: Frames, texts: Sequence[str]) -> Answer:
        """What the model says of frames [B, R, R, 3] and Q queries."""


class _OwlVit:
    def __init__(self, checkpoint: str, revision: str | None, device: str, dtype: torch.dtype, resolution: int) -> None:
        self._processor = load_part(AutoProcessor, checkpoint, revision)
        self._model = load_weights(OwlViTForObjectDetection, checkpoint, revision, dtype=dtype).to(device)
        self._device, self._dtype = device, dtype
        self.resample = Image.Resampling(self._processor.image_processor.resample)
        side = self._model.config.vision_config.image_size
        if side != resolution:
            raise UserError(f"{checkpoint}: reads pictures of {side} x {side} pixels; set resolution to {side}")

    def ask(self, frames_BRRC: Frames, texts: Sequence[str]) -> Answer:
        inputs = self._processor(
            images=list(frames_BRRC),
            text=[list(texts)] * len(frames_BRRC),
            do_resize=False,
            truncation=True,
            return_tensors="pt",
        )
        given = {name: value.to(self._device) for name, value in inputs.items()}
        outputs = self._model(**{**given, "pixel_values": given["pixel_values"].to(self._dtype)})
        return outputs.logits.cpu().double().sigmoid().numpy(), outputs.pred_boxes.float().cpu().numpy()


class _GroundingDino:
    """Queries are sentences of one text; a query fits a box as well as its likeliest token does."""

    def __init__(self, checkpoint: str, revision: str | None, device: str, dtype: torch.dtype, resolution: int) -> None:
        self._detector = PhraseDetector(checkpoint, revision, device, dtype)
        self.resample = Image.Resampling(self._detector.processor.image_processor.resample)
        tokenizer = self._detector.processor.tokenizer
        self._stop = tokenizer.convert_tokens_to_ids(".")
        self._ends = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, self._stop]

    def ask(self, frames_BRRC: Frames, texts: Sequence[str]) -> Answer:
        text = " ".join(f"{_one_sentence(query)}." for query in texts)
        inputs = self._detector.prepare(list(frames_BRRC), [text] * len(frames_BRRC))
        probabilities_BPT, boxes_BP4, ids_BT = self._detector.answer(inputs)
        stops_T, ends_T = ids_BT[0] == self._stop, np.isin(ids_BT[0], self._ends)
        if stops_T.sum() != len(texts):
            shown = printable(text, 200)
            raise UserError(f"{len(texts)} queries are more than the detector can read; use fewer or shorter ones: {shown}")
        query_T = np.where(ends_T, -1, np.cumsum(stops_T))
        scores = [probabilities_BPT[..., query_T == query].max(axis=2, initial=0) for query in range(len(texts))]
        return np.stack(scores, axis=2).astype(np.float64), boxes_BP4


def _one_sentence(query: str) -> str:
    """In lower case and without the signs that end a sentence for GroundingDINO."""
    return " ".join(query.lower().replace(".", " ").replace("?", " ").split())


_KINDS: dict[str, type[_OwlVit] | type[_GroundingDino]] = {"owlvit": _OwlVit, "grounding-dino": _GroundingDino}


class VideoDetector:
    """A detector with the size of pictures that it reads, and how many of them at once."""

    def __init__(self, model: _QueryModel, resolution: int, batch: int) -> None:
        self.resolution = resolution
        self.batch = batch
        self._model = model

    def stretch(self, frames_FHWC: Frames) -> Frames:
        """Frames as the detector reads them: [F, R, R, 3], whatever their shape before."""
        size = (self.resolution, self.resolution)
        if frames_FHWC.shape[1:3] == size:
            return frames_FHWC
        return np.stack([np.asarray(Image.fromarray(frame).resize(size, self._model.resample)) for frame in frames_FHWC])

    @torch.inference_mode()
    def detect(self, frames_FHWC: Frames, texts: Sequence[str], threshold: float) -> list[FrameDetections]:
        """The boxes in each frame that a query fits with a score of at least `threshold`, before any suppression.

        Args:
            frames_FHWC: [F, height, width, 3] RGB; may be frames of several videos.
            texts: queries such as "a photo of a red car", at least one.
            threshold: in 0..1.

        Raises:
            UserError: the queries are more than the detector can read.
            StageError: the model answers with NaN or infinity, or memory does not suffice for half of a batch.
        """
        at_once = max(1, min(self.batch, len(frames_FHWC)))
        what, advice = f"frames of {self.resolution}x{self.resolution}", "lower lvd_stage2.batch"
        return within_memory(lambda size: self._detect(frames_FHWC, texts, threshold, size), at_once, what, advice)

    def _detect(self, frames_FHWC: Frames, texts: Sequence[str], threshold: float, size: int) -> list[FrameDetections]:
        found = []
        for start in range(0, len(frames_FHWC), size):
            scores_BPQ, boxes_BP4 = self._model.ask(self.stretch(frames_FHWC[start : start + size]), texts)
            if not (np.isfinite(scores_BPQ).all() and np.isfinite(boxes_BP4).all()):
                raise StageError("the detector answers with NaN or infinity; set compute.dtype to float32")
            found += [_select(*answer, threshold) for answer in zip(scores_BPQ, boxes_BP4, strict=True)]
        return found


def _select(scores_PQ: NDArray[np.float64], boxes_P4: NDArray[np.float32], threshold: float) -> FrameDetections:
    corners_P4, scores_P = corners_from_centres(boxes_P4), scores_PQ.max(axis=1).astype(np.float32)
    has_area_P = (corners_P4[:, 2:] > corners_P4[:, :2]).all(axis=1)
    kept_N = np.flatnonzero((scores_P >= threshold) & has_area_P)
    every = FrameDetections(corners_P4, scores_P, scores_PQ.argmax(axis=1))
    return every.only(kept_N[np.argsort(-scores_P[kept_N], kind="stable")])


def open_video_detector(
    checkpoint: str, revision: str | None, device: str, dtype: torch.dtype, resolution: int, batch: int = 32
) -> VideoDetector:
    """A detector from a folder or a hub id, of the kind that its config.json names: owlvit or grounding-dino.

    Raises:
        UserError: no such checkpoint, one of another kind, or one that reads pictures of another size.
    """
    transformers_logging.disable_progress_bar()
    config: Any = load_part(AutoConfig, checkpoint, revision)
    kind = _KINDS.get(config.model_type)
    if kind is None:
        raise UserError(f"{checkpoint}: is a model of type {config.model_type}; expected one of {', '.join(_KINDS)}")
    return VideoDetector(kind(checkpoint, revision, device, dtype, resolution), resolution, batch)


def suppress(found: FrameDetections, threshold: float, *, class_aware: bool) -> FrameDetections:
    """Greedy non-maximum suppression: a box goes if it overlaps a better one that stays, with IoU of `threshold` or more.

    Args:
        found: best score first.
        threshold: above 0.
        class_aware: whether only boxes of the same label suppress each other.
    """
    rivals_NN = pairwise_iou(found.boxes_N4, found.boxes_N4) >= threshold
    if class_aware:
        rivals_NN &= found.labels_N[:, None] == found.labels_N[None]
    kept: list[int] = []
    for index in range(len(found.boxes_N4)):
        if not rivals_NN[index, kept].any():
            kept.append(index)
    return found.only(np.array(kept, np.intp))


def best_of_each_label(found: FrameDetections) -> FrameDetections:
    """The first box of each label, and so the best one; in the same order as before."""
    _, first = np.unique(found.labels_N, return_index=True)
    return found.only(np.sort(first))
