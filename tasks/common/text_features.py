"""What a frozen text encoder makes of texts: one unit vector each.

Legend: N texts, B texts at once, T tokens, W width of the encoder, D width of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor
from transformers import AutoConfig, CLIPModel, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.errors import UserError
from tasks.common.provenance import checkpoint_identity, digest, path_sha256
from tasks.common.quarantine import printable

Pooling = Literal["end", "mean"]
"""The state of the end token, projected where the model has a projection; or the mean state of all tokens."""

_AT_ONCE = 16  # always as many, filled up with empty texts, because the last bits depend on it
_ENCODER, _TOKENIZER = {"subfolder": "text_encoder"}, {"subfolder": "tokenizer"}


class TextFeatures:
    """A CLIPModel, or the CLIPTextModel of a diffusers checkpoint, from a folder or a hub id; safetensors only.

    A checkpoint with a `config.json` of its own is taken for a CLIPModel; of any other, the folders `text_encoder` and
    `tokenizer` are read.
    """

    def __init__(
        self, checkpoint: str, revision: str | None, device: str | torch.device, dtype: torch.dtype, pooling: Pooling = "end"
    ) -> None:
        """Loads the encoder.

        Raises:
            UserError: a part is missing, damaged, or of another kind.
        """
        transformers_logging.disable_progress_bar()
        is_clip = _has_own_config(checkpoint, revision)
        factory, place, words = (CLIPModel, {}, {}) if is_clip else (CLIPTextModel, _ENCODER, _TOKENIZER)
        kind = load_part(AutoConfig, checkpoint, revision, **place).model_type
        if kind != factory.config_class.model_type:
            raise UserError(f"{checkpoint}: a {kind}; name a CLIPModel, or what has a CLIPTextModel in its text_encoder")
        self._tokenizer: Any = load_part(CLIPTokenizer, checkpoint, revision, **words)
        self._model: Any = load_weights(factory, checkpoint, revision, dtype=dtype, **place).to(device)
        config = self._model.config.text_config if is_clip else self._model.config
        if len(self._tokenizer) > config.vocab_size:
            raise UserError(f"{checkpoint}: its tokenizer has more tokens than its text encoder; they are not of one model")
        self._longest = int(config.max_position_embeddings)
        self._is_clip, self._pooling, self._checkpoint = is_clip, pooling, checkpoint
        is_projected = is_clip and pooling == "end"
        self.width = int(self._model.config.projection_dim if is_projected else config.hidden_size)
        self.identity = digest([_identity(checkpoint, revision, is_clip), pooling])

    @torch.no_grad()  # tensors of inference mode could not be trained on
    def of(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [N, D], float32 on the CPU, each with the same bits in any company; longer texts are cut.

        Raises:
            UserError: the encoder makes NaN, infinity or nothing but zeros of a text.
        """
        found = [torch.empty(0, self.width)]
        for start in range(0, len(texts), _AT_ONCE):
            some = list(texts[start : start + _AT_ONCE])
            features_BD = self._features([*some, *[""] * (_AT_ONCE - len(some))])
            found.append(features_BD[: len(some)])
        vectors_ND = torch.cat(found)
        norms_N1 = vectors_ND.norm(dim=-1, keepdim=True)
        for text, norm in zip(texts, norms_N1.flatten().tolist(), strict=True):
            if not 0 < norm < torch.inf:
                raise UserError(
                    f"{self._checkpoint}: it makes a vector of length {norm} of the text {printable(text, 60)!r}; "
                    "set compute.dtype to float32 or name another encoder"
                )
        units_ND: Tensor = vectors_ND / norms_N1
        return units_ND

    def _features(self, texts: list[str]) -> Tensor:
        """[B, D] float32 on the CPU."""
        tokens = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._model.device)
        if self._pooling == "end":
            encoded = self._model.get_text_features(**tokens) if self._is_clip else self._model(**tokens)
            ends_BD: Tensor = encoded.pooler_output.float().cpu()
            return ends_BD
        encoder = self._model.text_model if self._is_clip else self._model
        states_BTW: Tensor = encoder(**tokens).last_hidden_state.float().cpu()
        seen_BT1: Tensor = tokens.attention_mask.cpu()[..., None].float()
        means_BD: Tensor = (states_BTW * seen_BT1).sum(1) / seen_BT1.sum(1)
        return means_BD


def _has_own_config(checkpoint: str, revision: str | None) -> bool:
    folder = Path(checkpoint)
    if folder.is_dir() or checkpoint.startswith(("/", ".", "models/")):
        return (folder / "config.json").is_file()
    try:
        return bool(hf_hub_download(checkpoint, "config.json", revision=revision))
    except (EntryNotFoundError, OSError, ValueError):  # whatever else is wrong shows when the parts are read
        return False


def _identity(checkpoint: str, revision: str | None, is_clip: bool) -> str:
    """Of the parts that are read: a diffusers checkpoint with another UNet has the same text encoder."""
    folder = Path(checkpoint)
    if is_clip or not folder.is_dir():
        return checkpoint_identity(checkpoint, revision)
    return digest([path_sha256(folder / place["subfolder"]) for place in (_ENCODER, _TOKENIZER)])
