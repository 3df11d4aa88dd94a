"""A checkpoint with pickled weights, such as ModelScope's or Zeroscope's `.bin` files, as a folder of safetensors.

    python -m tasks.lvd.convert_text_to_video --checkpoint cerspense/zeroscope_v2_576w --out models/zeroscope

Part by part, `diffusion_pytorch_model.bin` and `pytorch_model.bin` are read as tensors, and nothing in them is run. The
folder goes into `lvd_generate.model`, `lvd_generate.upsampler` or `igligen.model`. A single file becomes a single file.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import save_file

from tasks.common.errors import StageError, UserError
from tasks.common.files import complete
from tasks.common.pickled_weights import read_pickled

_NEW_NAMES = {
    "diffusion_pytorch_model.bin": "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin": "model.safetensors",
}
_TAKEN_ALONG = (".json", ".md", ".safetensors", ".txt")


def _is_whole(value: Any) -> bool:
    """Whether it is a tensor as safetensors hold them, no larger than what is stored of it."""
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.device.type != "cpu":
        return False
    return not value.is_quantized and value.nbytes <= value.untyped_storage().nbytes()


def _write_as_safetensors(source: Path, target: Path) -> None:
    stored = read_pickled(source)
    if not isinstance(stored, dict) or not stored or not all(map(_is_whole, stored.values())):
        raise UserError(f"{source}: not tensors by name alone; name a checkpoint's own weights")
    places, tensors = set[int](), {}
    for name, tensor in stored.items():
        place = tensor.untyped_storage().data_ptr()
        own = tensor.clone() if place in places else tensor  # in safetensors no two share memory
        tensors[str(name)] = own.contiguous()
        places.add(place)
    save_file(tensors, target, metadata={"format": "pt"})


def _folder_of(checkpoint: str, revision: str | None) -> Path:
    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    if checkpoint.count("/") != 1 or checkpoint.startswith((".", "/", "models/")):
        raise UserError(f"{checkpoint}: no such file or folder; name one, or a hub id such as owner/model")
    patterns = [f"*{ending}" for ending in _TAKEN_ALONG] + [f"{place}{name}" for name in _NEW_NAMES for place in ("", "*/")]
    try:
        return Path(snapshot_download(checkpoint, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint}: cannot fetch it: {' '.join(str(error).split())[:300]}") from None


def convert(checkpoint: str, revision: str | None, out: Path) -> None:
    """Writes `out`: the checkpoint's folder with safetensors in the place of pickled weights, or the one file.

    Raises:
        UserError: the checkpoint is missing, damaged, holds more than tensors or no pickled weights, or `out` is there.
    """
    if out.exists():
        raise UserError(f"{out}: there already; name what is not there yet")
    if Path(checkpoint).is_file():
        with complete(out) as file:
            _write_as_safetensors(Path(checkpoint), file)
        return
    source = _folder_of(checkpoint, revision)
    files = [file.relative_to(source) for file in sorted(source.rglob("*")) if file.is_file()]
    new = {file: file.with_name(_NEW_NAMES[file.name]) for file in files if file.name in _NEW_NAMES}
    new = {old: target for old, target in new.items() if target not in files}
    if not new:
        raise UserError(f"{checkpoint}: no {' or '.join(_NEW_NAMES)} without safetensors beside it; nothing to convert")
    with complete(out, folder=True) as folder:
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            if file in new:
                _write_as_safetensors(source / file, folder / new[file])
            elif file.suffix in _TAKEN_ALONG:
                shutil.copyfile(source / file, folder / file)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0, 1 (cannot write) or 2 (the user's mistake)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.lvd.convert_text_to_video", description=convert.__doc__)
    parser.add_argument("--checkpoint", required=True, help="a folder, a hub id, or a single file of weights")
    parser.add_argument("--revision", help="branch, tag or commit of a hub checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="the folder or file to write")
    options = parser.parse_args(arguments)
    try:
        convert(options.checkpoint, options.revision, options.out)
    except (UserError, StageError) as error:
        sys.stderr.write(f"convert_text_to_video: {error}\n")
        return 2 if isinstance(error, UserError) else 1
    sys.stderr.write(f"convert_text_to_video: done, see {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
