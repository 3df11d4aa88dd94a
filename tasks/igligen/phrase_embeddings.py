"""Embeddings of the phrases that grounding tokens are made of (specs/lvd.md 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

_MOST_KEPT = 16_384
"""Embeddings kept: 64 MB at width 1024."""


class PhraseEmbedder:
    """CLIP's pooled output of each phrase alone; embeddings of the latest phrases are kept.

    One phrase goes through the encoder at a time, so that an embedding has the same bits in any company.
    """

    def __init__(self, tokenizer: Any, text_encoder: Any) -> None:
        """Takes a CLIPTokenizer and its CLIPTextModel, which is used as it is: on its device and in its precision."""
        self.tokenizer, self.text_encoder = tokenizer, text_encoder
        self._cached = lru_cache(_MOST_KEPT)(self._embed)

    @torch.no_grad()
    def _embed(self, phrase: str) -> Tensor:
        """[W]."""
        tokens = self.tokenizer(
            phrase, truncation=True, max_length=self.tokenizer.model_max_length, return_tensors="pt"
        ).input_ids.to(self.text_encoder.device)
        pooled: Tensor = self.text_encoder(tokens).pooler_output
        return pooled[0]

    def __call__(self, phrases: Sequence[str]) -> Tensor:
        """[N, W]; a phrase longer than the encoder can read is cut there. No phrases give an empty tensor."""
        if not phrases:
            encoder = self.text_encoder
            return torch.zeros(0, encoder.config.hidden_size, device=encoder.device, dtype=encoder.dtype)
        return torch.stack([self._cached(phrase) for phrase in phrases])
