"""Files of the original GroundingDINO as hostile input: configurations in Python, read and never run, and `.pth` weights.

Source: github.com/IDEA-Research/GroundingDINO, `groundingdino/config` and `groundingdino/util/inference.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.checkpoint_loading import load_part
from tasks.common.errors import UserError
from tasks.common.parameters import describe_range
from tasks.common.pickled_weights import read_pickled

MOST_TOKENS = 256
_MOST_BYTES = 100_000
_MOST_NAMED = 5
_HARMLESS = {"label_enc.weight", "bert.embeddings.position_ids"}  # of training, and of older releases of transformers
_HUB_IDS = {"bert-base-uncased": "google-bert/bert-base-uncased"}
Layers = Annotated[int, Field(ge=1, le=48)]
Points = Annotated[int, Field(ge=1, le=64)]
Share = Annotated[float, Field(ge=0, lt=1)]


class OriginalConfig(BaseModel):
    """What the model is built from, of the names in an original configuration; those of training are passed over.

    Values that both published configurations share, and that other code relies on, are the only ones allowed.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    modelname: Literal["groundingdino"]
    backbone: Literal["swin_T_224_1k", "swin_B_384_22k"]
    return_interm_indices: tuple[Literal[1], Literal[2], Literal[3]]
    position_embedding: Literal["sine"]
    pe_temperatureH: Literal[20]
    pe_temperatureW: Literal[20]
    enc_layers: Layers
    dec_layers: Layers
    pre_norm: Literal[False]
    dim_feedforward: int = Field(ge=8, le=16384, multiple_of=8)
    hidden_dim: Literal[256]
    dropout: Share
    nheads: Literal[8]
    num_queries: int = Field(ge=1, le=10_000)
    query_dim: Literal[4]
    num_patterns: Literal[0]
    num_feature_levels: Literal[4]
    enc_n_points: Points
    dec_n_points: Points
    two_stage_type: Literal["standard"]
    two_stage_bbox_embed_share: Literal[False]
    two_stage_class_embed_share: bool
    transformer_activation: Literal["relu", "gelu"]
    dec_pred_bbox_embed_share: bool
    embed_init_tgt: Literal[True]
    max_text_len: Literal[256]
    text_encoder_type: str = Field(min_length=1)
    use_text_enhancer: Literal[True]
    use_fusion_layer: Literal[True]
    use_text_cross_attention: Literal[True]
    text_dropout: Share
    fusion_dropout: Share
    fusion_droppath: Share
    sub_sentence_present: Literal[True]


def _assigned(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            literal = ast.literal_eval(value)
            return name, tuple(literal) if isinstance(literal, list) else literal
    raise ValueError


def _assignments(path: Path, source: bytes) -> dict[str, Any]:
    line = 1
    try:
        values = {}
        for statement in ast.parse(source.decode("utf-8")).body:
            line = statement.lineno
            name, values[name] = _assigned(statement)
        return values
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        rule = "only `name = literal` may stand in a configuration, which is read and never run"
        raise UserError(f"{path}: line {line} or the whole file: {rule}") from None


def read_config(path: Path) -> OriginalConfig:
    """An original configuration file such as `GroundingDINO_SwinT_OGC.py`: assignments of literals, nothing else.

    Raises:
        UserError: it is missing, too long, holds anything but such assignments, or describes another family of models.
    """
    try:
        with path.open("rb") as file:
            source = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name an original configuration file") from None
    if len(source) > _MOST_BYTES:
        raise UserError(f"{path}: over {_MOST_BYTES} bytes; a configuration is a short file")
    try:
        return OriginalConfig.model_validate(_assignments(path, source))
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        shown = "missing" if problem["type"] == "missing" else f"{str(problem['input'])[:60]!r}: {problem['msg']}"
        allowed = describe_range(OriginalConfig.model_fields[name])
        raise UserError(f"{path}: {name}: {shown}; allowed: {allowed}") from None


class TextEncoder(NamedTuple):
    """BERT's tokenizer and configuration; its weights are in the detector's checkpoint."""

    tokenizer: Any
    config: Any


def text_encoder_source(text_encoder: str | None, config: OriginalConfig) -> str:
    """The folder or hub id of the text encoder: the one that is named, or else the configuration's."""
    source = text_encoder or config.text_encoder_type
    return _HUB_IDS.get(source, source)


def read_text_encoder(source: str) -> TextEncoder:
    """Tokenizer and configuration from a folder or a hub id; weights there are not read.

    Raises:
        UserError: it is not there, not readable, not BERT, or has more words than embeddings.
    """
    from transformers import AutoConfig, AutoTokenizer

    config = load_part(AutoConfig, source, None)
    if config.model_type != "bert":
        raise UserError(
            f"{source}: a {config.model_type} model; GroundingDINO's text encoder is BERT, see boxes.text_encoder"
        )
    tokenizer = load_part(AutoTokenizer, source, None)
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"{source}: {len(tokenizer)} tokens, but vocab_size is {config.vocab_size} in its config.json")
    return TextEncoder(tokenizer, config)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of an original checkpoint by the names of the original model.

    Raises:
        UserError: it is missing, damaged, holds more than tensors, or is no GroundingDINO checkpoint. Nothing in it is run.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name an original checkpoint such as groundingdino_swint_ogc.pth")
    stored = read_pickled(path)
    weights = stored.get("model") if isinstance(stored, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(item, torch.Tensor) for item in weights.values()):
        raise UserError(f"{path}: no tensors under `model`; name an original GroundingDINO checkpoint")
    named = {str(name).removeprefix("module."): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in named.items() if name not in _HARMLESS}


def fill(model: torch.nn.Module, weights: dict[str, torch.Tensor], where: Path) -> None:
    """Puts `weights` into a model that has exactly these names and shapes.

    Raises:
        UserError: names or shapes differ (the first are named), or a weight holds NaN or infinity.
    """
    expected = model.state_dict()
    differing = [f"{name} (missing)" for name in sorted(expected.keys() - weights.keys())]
    differing += [f"{name} (not known)" for name in sorted(weights.keys() - expected.keys())]
    shared = sorted(weights.keys() & expected.keys())
    differing += [f"{name} (other shape)" for name in shared if weights[name].shape != expected[name].shape]
    if differing:
        more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
        raise UserError(f"{where}: does not fit its configuration: {', '.join(differing[:_MOST_NAMED])}{more}")
    bad = [name for name in shared if not torch.isfinite(weights[name]).all()]
    if bad:
        raise UserError(f"{where}: {len(bad)} weights hold NaN or infinity, first {bad[0]}; get it again")
    model.load_state_dict(weights)
