"""Adapter files round-trip to the bit, come from released layouts too, and are refused by name when they do not fit."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import UNet3DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks.common.errors import UserError
from tasks.igligen.adapter_files import ADAPTERS_FILE, load_adapters, save_adapters
from tasks.igligen.adapters import adapter_parameters, add_adapters, has_adapters
from tasks.video.spatial_unet import spatial_unet
from tests.igligen.adapters_for_tests import adapted, gated_image_unet, scramble
from tests.video.unets_for_tests import small_unet

FACTS = {"steps": 12, "base": "models/sprite/text_to_video", "phrase": "Grüße", "losses": [0.5, 0.25]}
GATE = "mid_block.attentions.0.transformer_blocks.0.fuser.alpha_attn"
BIAS = "position_net.linears.4.bias"
Tensors = dict[str, torch.Tensor]


def weights(unet: UNet3DConditionModel) -> Tensors:
    return {name: parameter.detach() for name, parameter in adapter_parameters(unet).items()}


def same(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def trained() -> UNet3DConditionModel:
    return adapted("sprite")


@pytest.fixture(scope="module")
def plain() -> UNet3DConditionModel:
    """Without adapters; for tests that expect it to stay so."""
    return small_unet("sprite")


@pytest.fixture
def file(trained: UNet3DConditionModel, tmp_path: Path) -> Path:
    save_adapters(trained, tmp_path / ADAPTERS_FILE, FACTS)
    return tmp_path / ADAPTERS_FILE


def test_round_trip_to_the_bit(trained: UNet3DConditionModel, file: Path) -> None:
    unet = small_unet("sprite")
    state = torch.random.get_rng_state()
    assert load_adapters(unet, file) == FACTS
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(weights(unet), weights(trained))
    first = file.read_bytes()
    save_adapters(unet, file, dict(reversed(FACTS.items())))
    assert file.read_bytes() == first


def test_a_file_holds_adapters_and_facts_only(trained: UNet3DConditionModel, file: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        assert set(opened.keys()) == set(weights(trained))
        assert {key: json.loads(value) for key, value in opened.metadata().items()} == {"groundreel": FACTS}
    assert [path.name for path in file.parent.iterdir()] == [ADAPTERS_FILE]


def test_loading_again_replaces_the_weights_in_place(trained: UNet3DConditionModel, file: Path) -> None:
    unet = small_unet("sprite")
    add_adapters(unet)
    held = adapter_parameters(unet)
    held[GATE].requires_grad_(False)
    load_adapters(unet, file.parent)
    assert all(held[name] is parameter for name, parameter in adapter_parameters(unet).items())
    assert same(weights(unet), weights(trained))
    assert not held[GATE].requires_grad
    assert held[BIAS].requires_grad


def test_adapters_trained_on_images_go_into_the_video_model(tmp_path: Path) -> None:
    image = spatial_unet(small_unet("sprite"))
    add_adapters(image)
    scramble(image)
    save_adapters(image, tmp_path / "images.safetensors", {})
    video = small_unet("sprite")
    assert load_adapters(video, tmp_path / "images.safetensors") == {}
    assert same(weights(video), weights(image))


@pytest.mark.parametrize(("kind", "inside"), [("image", "."), ("video", "unet")])
def test_released_full_checkpoints(trained: UNet3DConditionModel, tmp_path: Path, kind: str, inside: str) -> None:
    released = trained if kind == "video" else gated_image_unet(spatial_unet(trained))
    released.save_pretrained(tmp_path / inside)
    for unet in (small_unet("sprite"), spatial_unet(small_unet("sprite", seed=4))):
        base = {name: weight.clone() for name, weight in unet.state_dict().items()}
        assert load_adapters(unet, str(tmp_path)) == {}
        assert same(weights(unet), weights(released))
        now = unet.state_dict()
        assert same({name: now[name] for name in base}, base)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float16),
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.bfloat16),
    ],
)
def test_precisions_convert(file: Path, stored: torch.dtype, wanted: torch.dtype) -> None:
    tensors = {name: tensor.to(stored) for name, tensor in load_file(file).items()}
    save_file(tensors, file)
    unet = small_unet("sprite").to(wanted)
    load_adapters(unet, file)
    assert same(weights(unet), {name: tensor.to(wanted) for name, tensor in tensors.items()})


def test_adapters_from_a_hub_repository_fetched_before(
    trained: UNet3DConditionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--owner--model"
    trained.save_pretrained(repository / "snapshots" / ("a" * 40) / "unet")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for revision in (None, "a" * 40):
        unet = small_unet("sprite")
        load_adapters(unet, "owner/model", revision)
        assert same(weights(unet), weights(trained))
    for name, revision in (("owner/model", "b" * 40), ("owner/other", None), ("owner/..", None)):
        assert "cannot fetch it" in refused(unet, name, revision)


def refused(unet: UNet3DConditionModel, checkpoint: str | Path, revision: str | None = None) -> str:
    """The one line of a refusal that leaves the UNet as it was."""
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_adapters(unet, checkpoint, revision)
    assert same(dict(unet.state_dict()), before)
    message = str(caught.value)
    assert message.startswith(str(checkpoint).rstrip("/"))
    assert "\n" not in message
    assert len(message) < 1200
    return message


@pytest.mark.parametrize(
    "name", ["nothing", "/nowhere/at/all", "models/none", "./owner/model", "none/at.safetensors", "a/b/c"]
)
def test_a_missing_file_is_not_looked_up_elsewhere(plain: UNet3DConditionModel, name: str) -> None:
    assert "no such file or folder" in refused(plain, name)


def test_a_folder_of_other_formats_is_refused(plain: UNet3DConditionModel, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    message = refused(plain, tmp_path)
    assert "holds neither adapters.safetensors nor" in message
    assert "convert_text_to_video" in message
    assert "convert_text_to_video" in refused(plain, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    assert not (tmp_path / "canary").exists()


def drop(tensors: Tensors) -> None:
    for key in sorted(tensors)[:7]:
        del tensors[key]


def add(tensors: Tensors) -> None:
    tensors["up_blocks.2.attentions.0.transformer_blocks.0.fuser.alpha_attn"] = torch.zeros(())
    tensors["lora.weight"] = torch.zeros(1)
    tensors["\x1b[31m\n" + "a" * 10_000] = torch.zeros(1)


def reshape(tensors: Tensors) -> None:
    tensors[BIAS] = torch.zeros(3)
    tensors[GATE] = torch.zeros(1)


def reshape_all(tensors: Tensors) -> None:
    for name in tensors:
        tensors[name] = torch.zeros(2, 2) if "null_positive" not in name else tensors[name]


def count(tensors: Tensors) -> None:
    tensors[BIAS] = torch.zeros(tensors[BIAS].shape, dtype=torch.int8)


def poison(tensors: Tensors) -> None:
    tensors[BIAS][0] = float("nan")
    tensors[GATE].fill_(float("inf"))


def widen(tensors: Tensors) -> None:
    tensors["position_net.null_positive_feature"] = torch.zeros(768)


def strip(tensors: Tensors) -> None:
    tensors.clear()
    tensors["conv_in.weight"] = torch.zeros(1)


def for_pictures(tensors: Tensors) -> None:
    for name in [name for name in tensors if "linears" in name]:
        tensors[name.replace("linears", "linears_text")] = tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop, ["(missing)", "and 2 more"]),
        (add, ["lora.weight (not known)", "up_blocks.2.attentions.0.transformer_blocks.0.fuser.alpha_attn (not known)"]),
        (reshape, [f"{BIAS} (shape [3] instead of [48])", f"{GATE} (shape [1] instead of [])"]),
        (reshape_all, ["(shape [2, 2] instead of", "and 121 more"]),
        (count, [f"{BIAS} (of type I8)"]),
        (poison, ["2 adapter weights are NaN or infinite as float32", BIAS, "get it again"]),
        (widen, ["another family", "text width 768, but this model's is 48", "Stable Diffusion 1"]),
        (strip, ["holds no grounding adapters"]),
        (for_pictures, ["position_net.linears.0.bias (missing)"]),
    ],
)
def test_adapters_that_do_not_fit_are_named(
    plain: UNet3DConditionModel, file: Path, change: Callable[[Tensors], None], parts: list[str]
) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    message = refused(plain, file)
    for part in parts:
        assert part in message
    assert message.count("(missing)") + message.count("(not known)") + message.count("(shape [") <= 5
    assert not has_adapters(plain)


def test_a_refused_file_leaves_earlier_adapters_alone(file: Path) -> None:
    unet = adapted("sprite")
    scramble(unet, seed=8)
    tensors = load_file(file)
    poison(tensors)
    save_file(tensors, file)
    refused(unet, file)


def test_weights_too_large_for_half_precision_are_refused(file: Path) -> None:
    tensors = load_file(file)
    tensors[BIAS][0] = 1e6
    save_file(tensors, file)
    assert "NaN or infinite as float16" in refused(small_unet("sprite").half(), file)
    load_adapters(small_unet("sprite").bfloat16(), file)


class Canary:
    """Runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_damaged_files_are_refused_and_none_is_run(plain: UNet3DConditionModel, file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    huge = struct.pack("<Q", 200_000_000) + b"{" * 100
    pickled = pickle.dumps(Canary(tmp_path / "canary"))
    for damaged in (b"", whole[:5], whole[: len(whole) // 2], whole + b"more", huge, pickled):
        file.write_bytes(damaged)
        assert "not a whole safetensors file" in refused(plain, file)
    assert not (tmp_path / "canary").exists()
    assert not has_adapters(plain)


@pytest.mark.parametrize("facts", ["[1]", "{", "[" * 100_000, '{"a": ' * 100_000])
def test_facts_that_are_no_json_object_are_refused(plain: UNet3DConditionModel, file: Path, facts: str) -> None:
    save_file(load_file(file), file, metadata={"groundreel": facts})
    assert "not a JSON object" in refused(plain, file)


@pytest.mark.parametrize("facts", [{"loss": float("nan")}, {"path": Path("x")}])
def test_facts_that_are_no_json_are_not_written(
    trained: UNet3DConditionModel, tmp_path: Path, facts: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, TypeError)):
        save_adapters(trained, tmp_path / ADAPTERS_FILE, facts)
    assert list(tmp_path.iterdir()) == []
