"""Adapters to and from safetensors files; a file that does not fit is refused before anything changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.pickled_weights import HOW_TO_CONVERT, PICKLED
from tasks.common.quarantine import printable
from tasks.common.safetensors_facts import facts_metadata, read_facts
from tasks.igligen.adapters import Unet, adapter_parameters, adapter_shapes, add_adapters, has_adapters, is_adapter
from tasks.video.spatial_unet import is_temporal

ADAPTERS_FILE = "adapters.safetensors"
_FULL_FILE = "diffusion_pytorch_model.safetensors"
_PLACES = (ADAPTERS_FILE, f"unet/{_FULL_FILE}", _FULL_FILE)
_PHRASE = "position_net.null_positive_feature"
_TYPES = ("F16", "BF16", "F32", "F64")
_MOST_NAMED = 5
_LONGEST_NAME = 120


def save_adapters(unet: Unet, path: Path, facts: dict[str, Any]) -> None:
    """Writes the adapters' weights, as they are, and the facts as one JSON text in the file's metadata."""
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in adapter_parameters(unet).items()}
    with complete(path) as unfinished:
        save_file(tensors, unfinished, metadata=facts_metadata(facts))


def load_adapters(unet: Unet, checkpoint: str | Path, revision: str | None = None) -> dict[str, Any]:
    """Puts trained adapters into the UNet, which gets new ones for them if it has none, and returns the file's facts.

    Adapters trained on images go into the video UNet as well: the names are the same. Of a full checkpoint only the adapters
    are taken. Weights are converted to the UNet's precision.

    Args:
        unet: image or video UNet; stays as it is when the file is refused.
        checkpoint: an adapters file, a folder with `adapters.safetensors`, or a full checkpoint: a folder or a hub id whose
            `unet/diffusion_pytorch_model.safetensors` holds base weights and adapters.
        revision: commit, branch or tag on the hub.

    Raises:
        UserError: nothing is there, it is damaged or not safetensors, its adapters belong to another model (the first keys
            that differ are named), or weights are not finite in the UNet's precision.
    """
    path = _find(str(checkpoint), revision)
    try:
        with safe_open(path, framework="pt") as file:
            _check(path, file, unet)
            facts = read_facts(path, file.metadata())
            weights = {name: file.get_tensor(name).to(unet.dtype) for name in adapter_shapes(unet)}
    except (OSError, SafetensorError) as error:
        advice = HOW_TO_CONVERT if path.suffix in PICKLED else "get it again"
        raise UserError(f"{path}: not a whole safetensors file: {_one_line(error)}; {advice}") from None
    _check_finite(path, weights, unet.dtype)
    if not has_adapters(unet):
        with torch.random.fork_rng(devices=[]):
            add_adapters(unet)
    with torch.no_grad():
        for name, parameter in adapter_parameters(unet).items():
            parameter.copy_(weights[name])
    return facts


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 300)


def _find(checkpoint: str, revision: str | None) -> Path:
    """The file that holds the adapters: the checkpoint itself, one in this folder, or one of a hub repository."""
    path = Path(checkpoint)
    if path.is_file():
        return path
    if path.is_dir():
        found = next((path / place for place in _PLACES if (path / place).is_file()), None)
        if found is None:
            raise UserError(_nothing_in(checkpoint))
        return found
    is_hub_id = (
        checkpoint.count("/") == 1 and not checkpoint.startswith(("/", ".", "models/")) and path.suffix != ".safetensors"
    )
    if not is_hub_id:
        raise UserError(f"{checkpoint}: no such file or folder; name an adapters file or a hub id such as owner/model")
    return _download(checkpoint, revision)


def _nothing_in(checkpoint: str) -> str:
    return f"{checkpoint}: holds neither {ADAPTERS_FILE} nor unet/{_FULL_FILE}; no other files are read. {HOW_TO_CONVERT}"


def _download(name: str, revision: str | None) -> Path:
    unreachable = None
    for place in _PLACES:
        try:
            return Path(hf_hub_download(name, place, revision=revision))
        except LocalEntryNotFoundError as error:  # offline and not fetched before; another place may have been
            unreachable = error
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UserError(f"{name}: cannot fetch it: {_one_line(error)}") from None
    raise UserError(f"{name}: cannot fetch it: {_one_line(unreachable)}" if unreachable else _nothing_in(name))


def _check(path: Path, file: Any, unet: Unet) -> None:
    """Refuses a file whose adapters are not those of this UNet, by names, shapes and types alone."""
    names = set(file.keys())
    slices = {name: file.get_slice(name) for name in sorted(filter(is_adapter, names))}
    shapes = {name: tuple(piece.get_shape()) for name, piece in slices.items()}
    if not shapes:
        raise UserError(f"{path}: holds no grounding adapters (position_net, fuser)")
    width = unet.config.cross_attention_dim
    found = shapes.get(_PHRASE, (width,))
    if found != (width,):
        raise UserError(
            f"{path}: adapters for another family of models: text width {', '.join(map(str, found))}, but this "
            f"model's is {width} (768 is Stable Diffusion 1, 1024 Stable Diffusion 2 and ModelScope); "
            "name adapters trained for this model"
        )
    expected = adapter_shapes(unet)
    known = {*expected, *(name for name in unet.state_dict() if not is_adapter(name))}
    differing = [f"{name} (missing)" for name in sorted(expected.keys() - names)]
    differing += [f"{printable(name, _LONGEST_NAME)} (not known)" for name in sorted(names - known) if not is_temporal(name)]
    for name in sorted(expected.keys() & names):
        if shapes[name] != tuple(expected[name]):
            differing.append(f"{name} (shape {list(shapes[name])} instead of {list(expected[name])})")
        elif slices[name].get_dtype() not in _TYPES:
            differing.append(f"{name} (of type {slices[name].get_dtype()})")
    if differing:
        more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
        raise UserError(
            f"{path}: its adapters do not fit this model: {', '.join(differing[:_MOST_NAMED])}{more}; "
            "name adapters trained for this model"
        )


def _check_finite(path: Path, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
    bad = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if bad:
        kind = str(dtype).removeprefix("torch.")
        raise UserError(f"{path}: {len(bad)} adapter weights are NaN or infinite as {kind}, first {bad[0]}; get it again")
