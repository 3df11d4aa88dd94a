"""Styles in both file forms: round trips, what diffusers makes of them, and files that are damaged, hostile or not meant."""

from __future__ import annotations

import pickle
import re
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tasks.common.errors import UserError
from tasks.dreamframe.style_files import (
    MOST_BYTES,
    StyleEmbedding,
    load_style,
    read_original_style,
    save_style,
    write_original_style,
)
from tasks.dreamframe.style_tokens import StyleTokens, pool_at_end
from tests.dreamframe.sdxl_for_tests import TOKEN, WIDTHS, style_of, text_parts, tiny_sdxl


def _sdxl_vectors(vectors: int = 1) -> dict[str, torch.Tensor]:
    return {"clip_l": torch.full((vectors, 768), 0.5), "clip_g": torch.full((vectors, 1280), -0.25)}


def _original() -> dict[str, torch.Tensor]:
    return {"emb": torch.full((768,), 0.5).bfloat16(), "emb2": torch.full((1280,), -0.25).bfloat16()}


@pytest.mark.parametrize("vectors", [1, 3])
def test_saved_styles_are_read_back_with_their_facts(tmp_path: Path, vectors: int) -> None:
    facts = {"token": TOKEN, "images": 60, "é": [1.5, None]}
    for name in ("a", "b"):
        save_style(tmp_path / f"{name}.safetensors", style_of(vectors), facts)
    found, found_facts = load_style(tmp_path / "a.safetensors", WIDTHS)
    assert all(map(torch.equal, found, style_of(vectors)))
    assert found_facts == facts
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("vectors", [1, 3])
def test_diffusers_loads_them_and_reads_prompts_as_the_trained_style_does(tmp_path: Path, vectors: int) -> None:
    path = tmp_path / "style.safetensors"
    save_style(path, style_of(vectors), {})
    pipeline, stored = tiny_sdxl(), load_file(path)
    for part, name in zip(text_parts(pipeline), ("clip_l", "clip_g"), strict=True):
        pipeline.load_textual_inversion(stored[name], token=TOKEN, tokenizer=part.tokenizer, text_encoder=part.encoder)
        pool_at_end(part)
    prompts = [f"{TOKEN} castle", f"a man walks in {TOKEN} style"]
    with torch.no_grad():
        states, _, pooled, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
        expected = StyleTokens(TOKEN, text_parts(tiny_sdxl()), style_of(vectors)).encode(prompts)
    assert torch.equal(states, expected[0])
    assert torch.equal(pooled, expected[1])


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    halves = {name: rows.half() for name, rows in _sdxl_vectors(2).items()}
    save_file({**halves, "more": torch.zeros(1)}, tmp_path / "s.safetensors")
    style, facts = load_style(tmp_path / "s.safetensors")
    assert all(map(torch.equal, style, _sdxl_vectors(2).values()))
    assert (style.vectors, style.widths, facts) == (2, (768, 1280), {})


def test_original_styles_and_lists_of_them(tmp_path: Path) -> None:
    torch.save(_original(), tmp_path / "Dramatic.pt")
    older = {name: torch.zeros_like(row) for name, row in _original().items()}
    torch.save([older, older, OrderedDict(_original())], tmp_path / "allDramatic.pt")
    for name in ("Dramatic.pt", "allDramatic.pt"):
        style = read_original_style(tmp_path / name)
        assert all(map(torch.equal, style, _sdxl_vectors().values()))
        assert {rows.dtype for rows in style} == {torch.float32}


@given(st.floats(-1, 1, width=16), st.integers(0, 2**31))
def test_round_trip_by_the_original_form(scale: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.pt", Path(folder) / "second.pt"
        style = StyleEmbedding(*(scale * rows for rows in style_of(1, seed)))
        write_original_style(first, style)
        stored = torch.load(first, weights_only=True)
        assert {name: (row.dtype, tuple(row.shape)) for name, row in stored.items()} == {
            "emb": (torch.bfloat16, (24,)),
            "emb2": (torch.bfloat16, (40,)),
        }
        read = read_original_style(first, WIDTHS)
        assert all(torch.equal(a, b.bfloat16().float()) for a, b in zip(read, style, strict=True))
        write_original_style(second, read)
        assert first.read_bytes() == second.read_bytes()


def test_several_vectors_have_no_original_form(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this style has 3 vectors"):
        write_original_style(tmp_path / "style.pt", style_of(3))
    assert list(tmp_path.iterdir()) == []


class _Runs:
    """Pickled, it runs code when it is read without care."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._canary,)


def _refusal(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(UserError) as refusal:
        read(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 700
    return message.removeprefix(f"{path}: ")


def _bad(name: str) -> dict[str, torch.Tensor]:
    vectors = _sdxl_vectors(2)
    vectors["clip_g"][1, 7] = float(name)
    return vectors


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"<s>": torch.zeros(1, 768)}, r"no tensors clip_l and clip_g; it holds <s> of width 768 \(Stable Diffusion 1\)"),
        ({"<s>": torch.zeros(2, 1024)}, r"it holds <s> of width 1024 \(Stable Diffusion 2\)"),
        ({"clip_g": torch.zeros(2, 1280)}, r"of width 1280 \(the refiner of Stable Diffusion XL\)"),
        ({f"unet.{n}": torch.zeros(1) for n in range(9)}, "it holds unet.0, unet.1, unet.2, unet.3, unet.4 and more"),
        ({"x\n\x1b[31m" * 50: torch.zeros(1)}, r"it holds x\\n\\x1b\[31mx"),
        (dict(zip(("clip_l", "clip_g"), style_of(1), strict=True)),
         r"width 24 and 40, but this model's text encoders are 768 and 1280 wide \(Stable Diffusion XL\)"),
        ({**_sdxl_vectors(), "clip_l": torch.zeros(2, 768)}, "2 and 1 vectors"),
        (_sdxl_vectors(65), "65 and 65 vectors; both text encoders need as many, at most 64"),
        (_bad("nan"), "NaN or infinity in clip_g"),
        (_bad("-inf"), "NaN or infinity in clip_g"),
        ({**_sdxl_vectors(), "clip_g": torch.full((1, 1280), 1e300, dtype=torch.float64)}, "NaN or infinity in clip_g"),
        ({**_sdxl_vectors(), "clip_l": torch.zeros(1, 768, dtype=torch.int64)}, "clip_l is not a list of vectors"),
        ({**_sdxl_vectors(), "clip_l": torch.zeros(1, 1, 768)}, "clip_l is not a list of vectors"),
        ({**_sdxl_vectors(), "clip_l": torch.zeros(0, 768)}, "clip_l is not a list of vectors"),
    ],
)  # fmt: skip
def test_safetensors_that_are_no_style_for_the_model(tmp_path: Path, tensors: dict[str, torch.Tensor], says: str) -> None:
    save_file(tensors, tmp_path / "s.safetensors")
    assert re.search(says, _refusal(load_style, tmp_path / "s.safetensors"))


def test_a_style_for_the_real_model_does_not_fit_another(tmp_path: Path) -> None:
    save_file(_sdxl_vectors(), tmp_path / "s.safetensors")
    says = _refusal(lambda path: load_style(path, WIDTHS), tmp_path / "s.safetensors")
    assert "width 768 and 1280 (Stable Diffusion XL), but this model's text encoders are 24 and 40 wide;" in says


def test_damaged_and_other_files(tmp_path: Path) -> None:
    path = tmp_path / "style"
    assert "no such file" in _refusal(load_style, path)
    assert "not a file" in _refusal(load_style, tmp_path)
    save_style(path, StyleEmbedding(**_sdxl_vectors()), {})
    whole = path.read_bytes()
    assert "not a .pt file" in _refusal(read_original_style, path)
    for cut in (0, 4, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "not a whole safetensors file" in _refusal(load_style, path)
        assert "not a .pt file" in _refusal(read_original_style, path)
    for facts in ("[]", "{", "[" * 100_000):
        save_file(_sdxl_vectors(), path, metadata={"groundreel": facts})
        assert "is not a JSON object" in _refusal(load_style, path)
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert "larger than" in _refusal(load_style, path)
    assert "larger than" in _refusal(read_original_style, path)
    torch.save(_original(), path)
    assert "a .pt file, not safetensors" in _refusal(load_style, path)
    whole = path.read_bytes()
    for cut in (4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "damaged, or more than tensors" in _refusal(read_original_style, path)


def test_an_archive_that_unpacks_to_much_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "s.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(MOST_BYTES + 1))
    assert path.stat().st_size < 1_000_000
    assert "unpacks to more than" in _refusal(read_original_style, path)


def test_a_pickle_that_needs_more_than_tensors_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({**_original(), "more": _Runs(canary)}, tmp_path / "s.pt")
    assert "more than tensors in it (UnpicklingError); nothing was run" in _refusal(read_original_style, tmp_path / "s.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Runs(canary)))
    assert "not a .pt file" in _refusal(read_original_style, tmp_path / "plain.pt")
    assert "not a whole safetensors file" in _refusal(load_style, tmp_path / "plain.pt")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ([], "it holds none"),
        ([_original(), 5], "it holds none"),
        (torch.zeros(768), "it holds none"),
        ({"string_to_param": {}, 5: torch.zeros(1)}, "no tensors emb and emb2; it holds string_to_param;"),
        ({"emb": torch.zeros(768)}, r"no tensors emb and emb2; it holds emb of width 768 \(Stable Diffusion 1\)"),
        ({**_original(), "emb": [0.0] * 768}, "emb is not a list of vectors"),
        ({**_original(), "emb": torch.zeros(1).expand(10**15)}, "emb is not a list of vectors"),
        ({**_original(), "emb": torch.zeros(768, device="meta")}, "emb is not a list of vectors"),
        ({**_original(), "emb": torch.zeros(768).to_sparse()}, "emb is not a list of vectors"),
        ({**_original(), "emb": torch.zeros(512)}, "vectors of width 512 and 1280, but this model's"),
        ({**_original(), "emb2": torch.full((1280,), float("nan"))}, "NaN or infinity in emb2"),
    ],
)
def test_pt_files_that_are_no_style(tmp_path: Path, stored: Any, says: str) -> None:
    torch.save(stored, tmp_path / "s.pt")
    assert re.search(says, _refusal(read_original_style, tmp_path / "s.pt"))
