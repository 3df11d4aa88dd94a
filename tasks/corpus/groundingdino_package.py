"""Open-vocabulary detection with GroundingDINO's own package and original `.pth` checkpoints. Needs its extra."""

from __future__ import annotations

from pathlib import Path

import torch

from tasks.corpus.detector import Detector, PixelScale
from tasks.corpus.groundingdino_compatibility import build_model, import_package
from tasks.corpus.groundingdino_files import (
    MOST_TOKENS,
    fill,
    read_config,
    read_text_encoder,
    read_weights,
    text_encoder_source,
)

# The original's `load_image`: ImageNet's means and deviations.
_SCALE = PixelScale(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class PackageDetector(Detector):
    """An original checkpoint with its configuration file; half precision is autocast, as the package has it."""

    def __init__(self, checkpoint: Path, config: Path, text_encoder: str | None, device: str, dtype: torch.dtype) -> None:
        package = import_package()
        original = read_config(config)
        encoder = read_text_encoder(text_encoder_source(text_encoder, original))
        self.model = build_model(package, original, encoder)
        fill(self.model, read_weights(checkpoint), checkpoint)
        self.model.eval().to(device)
        most_tokens = min(MOST_TOKENS, int(encoder.tokenizer.model_max_length), int(encoder.config.max_position_embeddings))
        super().__init__(encoder.tokenizer, _SCALE, most_tokens, device, torch.float32)
        self._precision = dtype

    def _call(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        from transformers import BatchEncoding

        tokens = BatchEncoding({name: tensor for name, tensor in inputs.items() if name != "pixel_values"})
        halved = self._precision != torch.float32
        with torch.autocast(torch.device(self.device).type, self._precision if halved else None, enabled=halved):
            outputs = self.model(inputs["pixel_values"], captions=tokens)
        return outputs["pred_logits"], outputs["pred_boxes"]
