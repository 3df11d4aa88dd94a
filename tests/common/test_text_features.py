"""Features of texts: unit vectors of CLIP and of text encoders, the same bits in any company, one line if it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from tasks.common.errors import UserError
from tasks.common.text_features import Pooling, TextFeatures
from tests.dreamframe.clip_for_tests import WIDTH, write_tiny_clip

MODELS = Path(__file__).resolve().parents[2] / "models" / "sprite"
TEXTS = ["a red car", "a blue dog moving from the left to the right", "", "\u732b " * 100, "a red car"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_tiny_clip(folder)
    return folder


def load(folder: Path, pooling: Pooling = "end", dtype: torch.dtype = torch.float32) -> TextFeatures:
    return TextFeatures(str(folder), None, "cpu", dtype, pooling)


@pytest.mark.parametrize("pooling", ["end", "mean"])
@pytest.mark.parametrize("name", ["clip", "text"])
def test_features_are_unit_vectors_with_the_same_bits_in_any_company(name: str, pooling: Pooling) -> None:
    encoder = load(MODELS / name, pooling)
    texts = [*TEXTS, *(f"a dog number {number}" for number in range(20))]
    vectors = encoder.of(texts)
    assert vectors.shape == (25, encoder.width)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(25))
    assert torch.equal(vectors[0], vectors[4])
    assert not torch.equal(vectors[0], vectors[1])
    assert torch.equal(encoder.of(texts[::-1]), vectors.flip(0))
    assert torch.equal(torch.cat([encoder.of([text]) for text in texts]), vectors)
    assert encoder.of([]).shape == (0, encoder.width)
    weight = torch.ones(encoder.width, requires_grad=True)
    (vectors @ weight).sum().backward()
    assert weight.grad is not None, "they can be trained on"


def test_features_are_those_of_the_models() -> None:
    tokens = CLIPTokenizer.from_pretrained(MODELS / "clip")(TEXTS[:1], return_tensors="pt")
    model = CLIPModel.from_pretrained(MODELS / "clip", dtype=torch.float32).eval()
    with torch.no_grad():
        projected, states = model.get_text_features(**tokens).pooler_output, model.text_model(**tokens).last_hidden_state
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(load(MODELS / "clip").of(TEXTS[:1]), unit(projected), rtol=0, atol=1e-5)
    torch.testing.assert_close(load(MODELS / "clip", "mean").of(TEXTS[:1]), unit(states.mean(1)), rtol=0, atol=1e-5)
    tokens = CLIPTokenizer.from_pretrained(MODELS / "text" / "tokenizer")(TEXTS[:1], return_tensors="pt")
    encoder = CLIPTextModel.from_pretrained(MODELS / "text" / "text_encoder", dtype=torch.float32).eval()
    with torch.no_grad():
        encoded = encoder(**tokens)
    found = load(MODELS / "text").of(TEXTS[:1]), load(MODELS / "text", "mean").of(TEXTS[:1])
    torch.testing.assert_close(found[0], unit(encoded.pooler_output), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1], unit(encoded.last_hidden_state.mean(1)), rtol=0, atol=1e-5)


def test_an_encoder_is_known_by_what_is_read_of_it(clip: Path, tmp_path: Path) -> None:
    assert load(MODELS / "text").identity == load(MODELS / "text_to_video").identity, "one has a UNet beside it"
    assert load(MODELS / "text").identity != load(MODELS / "text", "mean").identity
    assert load(clip).width == WIDTH
    copy = Path(shutil.copytree(clip, tmp_path / "copy"))
    assert load(copy).identity == load(clip).identity
    tensors = load_file(copy / "model.safetensors")
    tensors["text_projection.weight"][0, 0] += 1
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert load(copy).identity != load(clip).identity


def test_half_precision_is_near(clip: Path) -> None:
    half = load(clip, dtype=torch.bfloat16).of(TEXTS)
    assert half.dtype == torch.float32
    assert float((half * load(clip).of(TEXTS)).sum(-1).min()) > 0.99


def refuse(folder: Path | str) -> str:
    with pytest.raises(UserError) as refused:
        TextFeatures(str(folder), None, "cpu", torch.float32).of(["a dog"])
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)
    return str(refused.value)


def test_what_is_no_text_encoder_is_refused() -> None:
    for name in ("models/sprite/nothing", "/nowhere/at/all", "./here"):
        assert "no such folder" in refuse(name)
    assert "a grounding-dino; name a CLIPModel" in refuse(MODELS / "detector")
    assert "a clip_text_model; name a CLIPModel" in refuse(MODELS / "text" / "text_encoder")
    assert "cannot read it" in refuse(MODELS / "autoencoder")
    assert "cannot read it" in refuse(MODELS)


def test_damage_is_refused(clip: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(clip, tmp_path / "copy"))
    file = copy / "model.safetensors"
    whole = load_file(file)
    save_file({name: tensor for name, tensor in whole.items() if "text_projection" not in name}, file, {"format": "pt"})
    assert "text_projection.weight (missing)" in refuse(copy)
    save_file(
        {**whole, "text_projection.weight": torch.full_like(whole["text_projection.weight"], 3e38)}, file, {"format": "pt"}
    )
    assert "a vector of length" in refuse(copy)
    save_file({**whole, "text_projection.weight": torch.zeros_like(whole["text_projection.weight"])}, file, {"format": "pt"})
    assert "a vector of length 0.0 of the text 'a dog'" in refuse(copy)
    file.write_bytes(file.read_bytes()[:1000])
    assert "cannot load it" in refuse(copy)
    file.rename(copy / "pytorch_model.bin")
    assert "cannot load it" in refuse(copy)


def test_another_models_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "text", tmp_path / "text"))
    for file in (folder / "tokenizer").iterdir():
        file.write_bytes((MODELS / "clip" / file.name).read_bytes())
    assert "not of one model" in refuse(folder)
