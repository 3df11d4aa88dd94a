"""An original GroundingDINO checkpoint (`.pth` and its configuration file) as a folder that transformers loads.

    python -m tasks.corpus.convert_groundingdino --weights groundingdino_swint_ogc.pth --config GroundingDINO_SwinT_OGC.py \\
        --out models/grounding-dino

It needs none of the original's packages. The folder goes into `boxes.detector`, with `boxes.backend: transformers`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tasks.common.errors import StageError, UserError
from tasks.common.files import complete
from tasks.corpus.groundingdino_compatibility import let_torchvision_import
from tasks.corpus.groundingdino_files import (
    OriginalConfig,
    TextEncoder,
    fill,
    read_config,
    read_text_encoder,
    read_weights,
    text_encoder_source,
)

_BACKBONES: dict[str, dict[str, Any]] = {
    "swin_T_224_1k": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7},
    "swin_B_384_22k": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12},
}
_SEPARATORS = {
    "[CLS]": 101,
    "[SEP]": 102,
    ".": 1012,
    "?": 1029,
}  # where transformers ends a sentence, whatever the tokenizer

_SWIN = "model.backbone.conv_encoder.model"
_NOT_TAKEN = re.compile(r"bert\.pooler\.|.*\.relative_position_index$")
_SPLIT = {".in_proj_": (".query.", ".key.", ".value."), ".qkv.": (".q_proj.", ".k_proj.", ".v_proj.")}
_LINEAR = {"linear1": "fc1", "linear2": "fc2"}
_SECTIONS = (
    (
        "backbone.0.layers.#.blocks.#.",
        f"{_SWIN}.swin.encoder.layers.#.blocks.#.",
        {
            "norm1": "layernorm_before",
            "norm2": "layernorm_after",
            "attn.proj": "attention.o_proj",
            "attn.qkv": "attention.qkv",
            "attn": "attention.relative_position_bias",
        },
    ),
    (
        "transformer.encoder.layers.#.",
        "model.encoder.layers.#.deformable_layer.",
        {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm", **_LINEAR},
    ),
    (
        "transformer.encoder.text_layers.#.",
        "model.encoder.layers.#.text_enhancer_layer.",
        {"norm1": "layer_norm_before", "norm2": "layer_norm_after", **_LINEAR},
    ),
    (
        "transformer.encoder.fusion_layers.#.",
        "model.encoder.layers.#.fusion_layer.",
        {
            "gamma_v": "vision_param",
            "gamma_l": "text_param",
            "layer_norm_v": "layer_norm_vision",
            "layer_norm_l": "layer_norm_text",
            "attn.v_proj": "attn.vision_proj",
            "attn.l_proj": "attn.text_proj",
            "attn.values_v_proj": "attn.values_vision_proj",
            "attn.values_l_proj": "attn.values_text_proj",
            "attn.out_v_proj": "attn.out_vision_proj",
            "attn.out_l_proj": "attn.out_text_proj",
        },
    ),
    (
        "transformer.decoder.layers.#.",
        "model.decoder.layers.#.",
        {
            "norm1": "encoder_attn_layer_norm",
            "norm2": "self_attn_layer_norm",
            "norm3": "final_layer_norm",
            "cross_attn": "encoder_attn",
            "ca_text": "encoder_attn_text",
            "catext_norm": "encoder_attn_text_layer_norm",
            **_LINEAR,
        },
    ),
    (
        "",
        "",
        {
            "backbone.0.patch_embed.proj": f"{_SWIN}.swin.embeddings.patch_embeddings.projection",
            "backbone.0.patch_embed": f"{_SWIN}.swin.embeddings",
            "backbone.0.layers": f"{_SWIN}.swin.encoder.layers",
            "backbone.0.norm1": f"{_SWIN}.hidden_states_norms.stage2",
            "backbone.0.norm2": f"{_SWIN}.hidden_states_norms.stage3",
            "backbone.0.norm3": f"{_SWIN}.hidden_states_norms.stage4",
            "bert": "model.text_backbone",
            "feat_map": "model.text_projection",
            "input_proj": "model.input_proj_vision",
            "transformer.tgt_embed": "model.query_position_embeddings",
            "transformer.enc_out_bbox_embed": "model.encoder_output_bbox_embed",
            "transformer.decoder.norm": "model.decoder.layer_norm",
            "transformer.decoder.ref_point_head": "model.decoder.reference_points_head",
            "transformer": "model",
        },
    ),
)
"""(beginning of an original name, its new beginning, what is renamed after it); # is a number, what fits first counts."""


def renamed(name: str) -> str:
    """The name in transformers of a weight of the original; one that nobody knows stays as it is."""
    for source, target, inner in _SECTIONS:
        match = re.match(re.escape(source).replace(r"\#", r"(\d+)"), name)
        if match:
            rest = name[match.end() :]
            old = next((old for old in inner if rest == old or rest.startswith(f"{old}.")), "")
            for number in match.groups():
                target = target.replace("#", number, 1)
            return target + inner.get(old, "") + rest[len(old) :]
    return name


def converted_weights(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All weights under transformers' names; joint projections are split into query, key and value."""
    found: dict[str, torch.Tensor] = {}
    for original, tensor in weights.items():
        if _NOT_TAKEN.match(original):
            continue
        name = renamed(original)
        joint = next((marker for marker in _SPLIT if marker in name), None)
        if joint is None:
            found[name] = tensor
        else:
            found |= {name.replace(joint, part): third for part, third in zip(_SPLIT[joint], tensor.chunk(3), strict=True)}
    return found


def _build(config: OriginalConfig, text_config: Any) -> Any:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    image_size = int(config.backbone.split("_")[2])
    swin = SwinConfig(**_BACKBONES[config.backbone], image_size=image_size, out_indices=[2, 3, 4])
    return GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            backbone_config=swin,
            text_config=text_config,
            num_queries=config.num_queries,
            encoder_layers=config.enc_layers,
            decoder_layers=config.dec_layers,
            encoder_ffn_dim=config.dim_feedforward,
            decoder_ffn_dim=config.dim_feedforward,
            encoder_n_points=config.enc_n_points,
            decoder_n_points=config.dec_n_points,
            activation_function=config.transformer_activation,
            dropout=config.dropout,
            text_enhancer_dropout=config.text_dropout,
            fusion_dropout=config.fusion_dropout,
            fusion_droppath=config.fusion_droppath,
            decoder_bbox_embed_share=config.dec_pred_bbox_embed_share and config.dec_layers > 1,
        )
    ).eval()


def _check_separators(encoder: TextEncoder, source: str) -> None:
    found = dict(zip(_SEPARATORS, encoder.tokenizer.convert_tokens_to_ids(list(_SEPARATORS)), strict=True))
    if found != _SEPARATORS:
        raise UserError(
            f"{source}: transformers' GroundingDINO needs the token ids {_SEPARATORS}, but here they are {found}"
        )


def convert(weights: Path, config: Path, text_encoder: str | None, out: Path) -> None:
    """Writes the folder `out`: config.json, model.safetensors, tokenizer and image processor.

    Raises:
        UserError: a file is missing, damaged or of another family, or `out` is there already.
    """
    if out.exists():
        raise UserError(f"{out}: there already; name a folder that is not there yet")
    let_torchvision_import()
    from transformers import GroundingDinoImageProcessorPil, GroundingDinoProcessor

    original = read_config(config)
    source = text_encoder_source(text_encoder, original)
    encoder = read_text_encoder(source)
    _check_separators(encoder, source)
    model = _build(original, encoder.config)
    unused = {name: tensor for name, tensor in model.state_dict().items() if ".swin.layernorm." in name}
    fill(model, unused | converted_weights(read_weights(weights)), weights)
    with complete(out, folder=True) as folder:
        model.save_pretrained(folder)
        GroundingDinoProcessor(GroundingDinoImageProcessorPil(), encoder.tokenizer).save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, 1 (cannot write) or 2 (the user's mistake)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.corpus.convert_groundingdino", description=convert.__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="the original .pth file")
    parser.add_argument(
        "--config", type=Path, required=True, help="its configuration file, such as GroundingDINO_SwinT_OGC.py"
    )
    parser.add_argument(
        "--text-encoder", help="folder or hub id of BERT's tokenizer and config.json; else the configuration's"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    options = parser.parse_args(arguments)
    try:
        convert(options.weights, options.config, options.text_encoder, options.out)
    except (UserError, StageError) as error:
        sys.stderr.write(f"convert_groundingdino: {error}\n")
        return 2 if isinstance(error, UserError) else 1
    sys.stderr.write(f"convert_groundingdino: done, see {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
