"""Learned styles to and from files: `clip_l` and `clip_g` in safetensors, and the original's `emb` and `emb2` in a `.pt`.

`StableDiffusionXLPipeline.load_textual_inversion` takes `clip_l` for the first text encoder and `clip_g` for the second.

Legend: n vectors per text encoder, W width of the first encoder, V of the second.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.quarantine import printable
from tasks.common.safetensors_facts import facts_metadata, read_facts

SDXL_WIDTHS = (768, 1280)
MOST_VECTORS = 64
MOST_BYTES = 64_000_000
_NAMES = ("clip_l", "clip_g")
_ORIGINAL_NAMES = ("emb", "emb2")
_FAMILIES = {
    (768, 1280): "Stable Diffusion XL",
    (1280,): "the refiner of Stable Diffusion XL",
    (768,): "Stable Diffusion 1",
    (1024,): "Stable Diffusion 2",
}
_MOST_NAMED = 5
_LONGEST_NAME = 80


class StyleEmbedding(NamedTuple):
    """One style in float32: `clip_l` [n, W] for the first text encoder, `clip_g` [n, V] for the second."""

    clip_l: Tensor
    clip_g: Tensor

    @property
    def vectors(self) -> int:
        """n, vectors per text encoder."""
        return len(self.clip_l)

    @property
    def widths(self) -> tuple[int, int]:
        """(W, V)."""
        return self.clip_l.shape[-1], self.clip_g.shape[-1]


def save_style(path: Path, style: StyleEmbedding, facts: dict[str, Any]) -> None:
    """Writes the vectors, and the facts as one JSON text in the file's metadata."""
    tensors = {name: rows.detach().float().cpu().contiguous() for name, rows in zip(_NAMES, style, strict=True)}
    with complete(path) as unfinished:
        save_file(tensors, unfinished, metadata=facts_metadata(facts))


def load_style(path: Path, widths: tuple[int, int] = SDXL_WIDTHS) -> tuple[StyleEmbedding, dict[str, Any]]:
    """The style in a safetensors file, by whatever program it was made, and the facts that `save_style` put there (or {}).

    Args:
        path: the file.
        widths: (W, V) of the model's text encoders.

    Raises:
        UserError: it is missing, damaged, not safetensors, for another model, or holds NaN or infinity.
    """
    _check_size(path)
    if _is_archive(path):
        raise UserError(f"{path}: a .pt file, not safetensors; import it as a style of the original project")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        reason = printable(" ".join(str(error).split()))
        raise UserError(f"{path}: not a whole safetensors file: {reason}; get it again") from None
    return _checked(path, tensors, _NAMES, widths), read_facts(path, metadata)


def read_original_style(path: Path, widths: tuple[int, int] = SDXL_WIDTHS) -> StyleEmbedding:
    """The style in a `.pt` of the original: one vector per encoder, or a list of such, of which the last is taken.

    Nothing in the file is run.

    Args:
        path: the file, as `torch.save` writes it.
        widths: (W, V) of the model's text encoders.

    Raises:
        UserError: it is missing, damaged, of another kind, for another model, or holds NaN, infinity, or more than tensors.
    """
    _check_size(path)
    if not _is_archive(path):
        raise UserError(f"{path}: not a .pt file as torch.save writes it; expected one of the original such as Dramatic.pt")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked <= MOST_BYTES:
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - whatever a damaged or hostile file makes the reader raise
        kind = type(error).__name__
        raise UserError(f"{path}: damaged, or more than tensors in it ({kind}); nothing was run, get it again") from None
    if unpacked > MOST_BYTES:
        raise UserError(f"{path}: unpacks to more than {MOST_BYTES} bytes; a style of the original has a few thousand")
    if isinstance(stored, list) and stored:
        stored = stored[-1]
    return _checked(path, stored if isinstance(stored, dict) else {}, _ORIGINAL_NAMES, widths)


def write_original_style(path: Path, style: StyleEmbedding) -> None:
    """Writes a style of one vector per encoder as the original's `.pt`, in bfloat16 as it does.

    Raises:
        UserError: the style has several vectors, for which the original has no form.
    """
    if style.vectors != 1:
        raise UserError(f"{path}: this style has {style.vectors} vectors, a .pt of the original holds one")
    rows = zip(_ORIGINAL_NAMES, style, strict=True)
    memory = io.BytesIO()  # torch.save puts the name of a file that it writes to into the file
    torch.save({name: row[0].detach().cpu().to(torch.bfloat16).clone() for name, row in rows}, memory)
    with complete(path) as unfinished:
        unfinished.write_bytes(memory.getvalue())


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: {'not a file' if path.exists() else 'no such file'}; name a file with a learned style")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path}: larger than {MOST_BYTES} bytes; a file with a learned style has a few thousand")


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether these are vectors in memory: a tensor from a hostile file may also claim more numbers than it holds."""
    if not isinstance(value, Tensor) or type(value) not in (Tensor, torch.nn.Parameter):
        return False
    is_stored = value.layout == torch.strided and value.device.type == "cpu" and value.is_contiguous()
    return is_stored and value.is_floating_point() and value.ndim in (1, 2) and value.numel() > 0


def _family(widths: tuple[int, ...]) -> str:
    return f" ({_FAMILIES[widths]})" if widths in _FAMILIES else ""


def _no_such_names(path: Path, found: Mapping[Any, Any], names: tuple[str, str]) -> UserError:
    listed = [printable(name, _LONGEST_NAME) for name in list(found)[:_MOST_NAMED] if isinstance(name, str)]
    what = f"it holds {', '.join(listed)}{' and more' if len(found) > _MOST_NAMED else ''}" if listed else "it holds none"
    only = next(iter(found.values())) if len(found) == 1 else None
    if _is_plain(only):
        what += f" of width {only.shape[-1]}{_family((only.shape[-1],))}"
    return UserError(f"{path}: no tensors {names[0]} and {names[1]}; {what}; name a style for Stable Diffusion XL")


def _checked(path: Path, found: Mapping[Any, Any], names: tuple[str, str], widths: tuple[int, int]) -> StyleEmbedding:
    if not all(name in found for name in names):
        raise _no_such_names(path, found, names)
    pair = [found[name] for name in names]
    for name, rows in zip(names, pair, strict=True):
        if not _is_plain(rows):
            raise UserError(f"{path}: {name} is not a list of vectors of floating-point numbers; get it again")
    of_file = (pair[0].shape[-1], pair[1].shape[-1])
    if of_file != widths:
        raise UserError(
            f"{path}: vectors of width {of_file[0]} and {of_file[1]}{_family(of_file)}, but this model's text encoders are "
            f"{widths[0]} and {widths[1]} wide{_family(widths)}; name a style trained for this model"
        )
    counts = [1 if rows.ndim == 1 else len(rows) for rows in pair]
    if counts[0] != counts[1] or counts[0] > MOST_VECTORS:
        raise UserError(
            f"{path}: {counts[0]} and {counts[1]} vectors; both text encoders need as many, at most {MOST_VECTORS}"
        )
    rows_l, rows_g = (rows.detach().float().reshape(counts[0], -1).clone() for rows in pair)
    bad = [name for name, rows in zip(names, (rows_l, rows_g), strict=True) if not torch.isfinite(rows).all()]
    if bad:
        raise UserError(f"{path}: NaN or infinity in {' and '.join(bad)}; get it again")
    return StyleEmbedding(rows_l, rows_g)
