"""Checkpoints with pickled weights become safetensors that load, and nothing in them is run."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.common.errors import UserError
from tasks.lvd.convert_text_to_video import main
from tasks.lvd.pipeline_loading import load_pipeline
from tests.video.tiny_text_to_video import write_tiny_text_to_video

UNET = "unet/diffusion_pytorch_model"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as its makers write it, with safetensors."""
    return write_tiny_text_to_video(tmp_path_factory.mktemp("original"))


@pytest.fixture
def pickled(original: Path, tmp_path: Path) -> Path:
    """The same one with pickled weights."""
    folder = Path(shutil.copytree(original, tmp_path / "pickled"))
    for file in folder.rglob("*.safetensors"):
        name = "pytorch_model.bin" if file.stem == "model" else "diffusion_pytorch_model.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    return folder


def convert(checkpoint: Path, out: Path) -> int:
    return main(["--checkpoint", str(checkpoint), "--out", str(out)])


def refused(checkpoint: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says why nothing was written."""
    before = out.exists()
    assert convert(checkpoint, out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert out.exists() == before
    assert not list(out.parent.glob("*.unfinished"))
    return line


def test_a_pickled_checkpoint_is_refused_until_it_is_converted(original: Path, pickled: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"python -m tasks\.lvd\.convert_text_to_video"):
        load_pipeline(str(pickled), None, "cpu", torch.float32)
    (pickled / "other.bin").write_bytes(b"not a part")
    assert convert(pickled, tmp_path / "new") == 0
    new, old = ({str(path.relative_to(at)) for path in at.rglob("*")} for at in (tmp_path / "new", original))
    assert new == old
    for name in (f"{UNET}.safetensors", "text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"):
        before, after = load_file(original / name), load_file(tmp_path / "new" / name)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    load_pipeline(str(tmp_path / "new"), None, "cpu", torch.float32)


def test_a_single_file_becomes_a_single_file(tmp_path: Path) -> None:
    tied = torch.arange(6.0).view(2, 3)
    torch.save({"a": tied, "b": tied, "c": tied.T, "d": tied[1:]}, tmp_path / "a.pt")
    assert convert(tmp_path / "a.pt", tmp_path / "a.safetensors") == 0
    tensors = load_file(tmp_path / "a.safetensors")
    assert torch.equal(tensors["c"], tensors["a"].T)
    assert torch.equal(tensors["b"], tensors["a"])
    assert tensors["d"].tolist() == [[3, 4, 5]]


class Canary:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_code_is_refused_and_not_run(
    pickled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    file, canary = pickled / f"{UNET}.bin", Canary(tmp_path / "canary")
    torch.save({"a": torch.ones(1), "b": canary}, file, _use_new_zipfile_serialization=zipped)
    assert "nothing was run" in refused(pickled, tmp_path / "new", capsys)
    file.write_bytes(pickle.dumps(canary))
    assert "nothing was run" in refused(pickled, tmp_path / "new", capsys)
    assert "nothing was run" in refused(file, tmp_path / "new.safetensors", capsys)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "value", [[torch.ones(1)], {}, {"state_dict": {"a": torch.ones(1)}}, {"a": torch.ones(1).expand(10**12)}]
)
def test_what_is_not_tensors_by_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any) -> None:
    torch.save(value, tmp_path / "a.bin")
    assert "not tensors by name alone" in refused(tmp_path / "a.bin", tmp_path / "new", capsys)


def test_mistakes_are_one_line(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to convert" in refused(original, tmp_path / "new", capsys)
    assert "there already" in refused(original, tmp_path, capsys)
    assert "no such file or folder" in refused(tmp_path / "nothing", tmp_path / "new", capsys)
