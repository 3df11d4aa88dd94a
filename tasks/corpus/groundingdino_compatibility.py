"""Makes `groundingdino-py` work with the torch, torchvision and transformers that are installed. All of that is here.

The package imports torchvision, and it wraps the text encoder of transformers 4. A torchvision that was built for another
torch (for CUDA beside a torch for CPUs) cannot be imported, and once it is installed, transformers cannot either.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from types import SimpleNamespace
from typing import Any

import torch

from tasks.common.errors import UserError
from tasks.corpus.groundingdino_files import OriginalConfig, TextEncoder

_PACKAGE = "groundingdino-py"
_OF_TRAINING = {
    "backbone_freeze_keywords": None,
    "dn_box_noise_scale": 1.0,
    "dn_label_noise_ratio": 0.5,
    "dn_labelbook_size": 2000,
    "use_checkpoint": False,
    "use_transformer_ckpt": False,
}
_NOISE = (("", r"groundingdino\."), ("Importing from timm", ""), ("torch.meshgrid", ""))  # message and module of warnings
_NOT_INSTALLED = (
    "boxes.backend = groundingdino: {missing} is not installed; "
    '`pip install -c constraints.txt -e ".[groundingdino]"` (docs/detectors.md), or set it to transformers'
)


def package_version() -> str:
    """The installed version of the package.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(_NOT_INSTALLED.format(missing=_PACKAGE)) from None


def let_torchvision_import() -> None:
    """Declares two operators where torchvision's own library does not load; to be called before transformers is imported.

    GroundingDINO calls neither (a call raises NotImplementedError). Where torchvision fits or is not there, nothing happens.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")


class _GivenTextEncoder:
    """Stands in for the package's module `get_tokenlizer`, which would download BERT's weights."""

    @staticmethod
    def get_tokenlizer(encoder: TextEncoder) -> Any:
        return encoder.tokenizer

    @staticmethod
    def get_pretrained_language_model(encoder: TextEncoder) -> Any:
        from transformers import BertModel

        model = BertModel(encoder.config)
        model.register_forward_pre_hook(_mask_for_all_heads, with_kwargs=True)
        return model


def _as_it_is(bert_model: Any) -> Any:
    return bert_model


def _mask_for_all_heads(module: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Masks [B, T, T], which transformers 5 takes as [B, 1, T, T]."""
    return arguments, {**named, "attention_mask": named["attention_mask"][:, None]}


def _mask_for_each_head(layer: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Masks [B, T, T] as [B * heads, T, T], each image's heads together as torch has them.

    The package repeats them the other way round, and in a batch a text would be read with the masks of the others.
    """
    return arguments, {**named, "src_mask": named["src_mask"].repeat_interleave(layer.nhead, dim=0)}


def _sentence_masks(tokens: Any, separators: Any, tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor, None]:
    """The package's own masks without the third result, which nothing uses and which fails on a text without a full stop."""
    masks = importlib.import_module("groundingdino.models.GroundingDINO.bertwarper")
    mask_BTT, positions_BT = masks.generate_masks_with_special_tokens(tokens, separators, tokenizer)
    return mask_BTT, positions_BT, None


def import_package() -> Any:
    """The package's module that defines the model, mended; also what must come before anything of transformers is imported.

    Raises:
        UserError: the package or something that it needs is not installed.
    """
    let_torchvision_import()
    for message, module in _NOISE:
        warnings.filterwarnings("ignore", message, module=module)
    try:
        package: Any = importlib.import_module("groundingdino.models.GroundingDINO.groundingdino")
    except ModuleNotFoundError as error:
        raise UserError(_NOT_INSTALLED.format(missing=error.name)) from None
    package.get_tokenlizer = _GivenTextEncoder
    package.BertModelWarper = _as_it_is  # written for transformers 4; BertModel takes masks per sentence by itself
    package.generate_masks_with_special_tokens_and_transfer_map = _sentence_masks
    return package


def _tokens_as_given(tokens: Any, **how: Any) -> Any:
    return tokens


def build_model(package: Any, config: OriginalConfig, encoder: TextEncoder) -> Any:
    """The model of `import_package` with random weights; where it takes captions, it then takes their tokens."""
    arguments = config.model_dump() | _OF_TRAINING
    arguments["return_interm_indices"] = list(config.return_interm_indices)
    arguments["text_encoder_type"] = encoder
    model = package.build_groundingdino(SimpleNamespace(**arguments))
    for layer in model.transformer.encoder.text_layers:
        layer.register_forward_pre_hook(_mask_for_each_head, with_kwargs=True)
    model.tokenizer = _tokens_as_given
    return model
