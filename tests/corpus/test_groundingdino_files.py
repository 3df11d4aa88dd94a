"""Original GroundingDINO files are read and never run; what is wrong with them, or missing, is one line that mends it."""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.corpus.convert_groundingdino import converted_weights, main, renamed
from tasks.corpus.detector_backends import DetectorSettings, detector_identity, open_detector
from tasks.corpus.groundingdino_compatibility import let_torchvision_import
from tasks.corpus.groundingdino_files import (
    OriginalConfig,
    fill,
    read_config,
    read_text_encoder,
    read_weights,
    text_encoder_source,
)
from tests.corpus.groundingdino_for_tests import CONFIG, write_text_encoder

ROOT = Path(__file__).resolve().parents[2]


def refusal(read: Callable[[Path], object], file: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    config = read_config(tmp_path / "config.py")
    assert (config.enc_layers, config.num_queries, config.fusion_droppath) == (1, 30, 0.1)
    assert text_encoder_source(None, config) == "google-bert/bert-base-uncased"
    assert text_encoder_source("./bert", config) == "./bert"


@pytest.mark.parametrize(
    "line",
    [
        "import pathlib",
        "enc_layers = __import__('pathlib').Path('canary').touch()",
        "open('canary', 'w')",
        "enc_layers = 3 + 3",
        "enc_layers += 1",
        "enc_layers: int = 6",
        "a = b = 1",
        "a, b = 1, 2",
        "a.b = 1",
        "a = f'{1}'",
        "a = {[]: 1}",
        "if True:\n    enc_layers = 6",
        "a = (",
        "a = " + "(" * 5000,
        "a = " + "-" * 20_000 + "1",
        "a = " + "9" * 10_000,
        "a = '\0'",
    ],
)
def test_anything_but_literals_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.py").write_text(CONFIG + line + "\n")
    assert "read and never run" in refusal(read_config, tmp_path / "config.py")
    assert not (tmp_path / "canary").exists()


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="abc =[](){}'\"\n-+*1.0,:#\\", max_size=200).map(str.encode)))
def test_whatever_a_configuration_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, more: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.py"
    file.write_bytes(CONFIG.encode() + more)
    try:
        config = read_config(file)
    except UserError as error:
        config, message = None, str(error)
    assert isinstance(config, OriginalConfig) or "\n" not in message


@pytest.mark.parametrize(
    ("good", "bad", "part"),
    [
        ("enc_layers = 1\n", "", "enc_layers: missing; allowed: int, at least 1, at most 48"),
        ("enc_layers = 1", "enc_layers = 100000000", "at most 48"),
        ("num_queries = 30", "num_queries = '30'", "num_queries: '30'"),
        ("swin_T_224_1k", "resnet50", "backbone: 'resnet50'"),
        ('modelname = "groundingdino"', 'modelname = "dino"', "one of groundingdino"),
        ("sub_sentence_present = True", "sub_sentence_present = False", "sub_sentence_present: 'False'"),
    ],
)
def test_configurations_of_other_families_are_refused(tmp_path: Path, good: str, bad: str, part: str) -> None:
    assert good in CONFIG
    (tmp_path / "config.py").write_text(CONFIG.replace(good, bad))
    assert part in refusal(read_config, tmp_path / "config.py")


def test_a_configuration_is_a_short_file_that_is_there(tmp_path: Path) -> None:
    assert "No such file" in refusal(read_config, tmp_path / "nothing.py")
    (tmp_path / "long.py").write_text(CONFIG + "#" * 100_000)
    assert "short file" in refusal(read_config, tmp_path / "long.py")


def save(value: Any, file: Path) -> Path:
    torch.save(value, file)
    return file


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_as_the_original_reads_them(tmp_path: Path, zipped: bool) -> None:
    stored = {"module.a.weight": torch.ones(2), "b": torch.zeros(1), "label_enc.weight": torch.zeros(3)}
    torch.save({"model": stored, "epoch": 3}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    weights = read_weights(tmp_path / "a.pth")
    assert sorted(weights) == ["a.weight", "b"]
    assert torch.equal(weights["a.weight"], torch.ones(2))


class Canary:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    file, canary = tmp_path / "a.pth", tmp_path / "canary"
    value = {"model": {"a": torch.ones(1)}, "args": Canary(canary)}
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    assert "nothing was run" in refusal(read_weights, file)
    file.write_bytes(pickle.dumps(value["args"]))
    assert "nothing was run" in refusal(read_weights, file)
    assert not canary.exists()


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    file = save({"model": {"a": torch.ones(1000)}}, tmp_path / "a.pth")
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], whole[:-30], b"PK\x03\x04" + b"\0" * 100, b"<html>"):
        file.write_bytes(damaged)
        assert "get it again" in refusal(read_weights, file)
    assert "no such file" in refusal(read_weights, tmp_path / "nothing.pth")
    assert "no such file" in refusal(read_weights, tmp_path)


@pytest.mark.parametrize(
    "value", [{"state_dict": {"a": torch.ones(1)}}, {"model": {"a": 1}}, [torch.ones(1)], {"model": torch.ones(1)}]
)
def test_checkpoints_of_other_families_are_refused(tmp_path: Path, value: Any) -> None:
    assert "no tensors under `model`" in refusal(read_weights, save(value, tmp_path / "a.pth"))


def test_a_huge_view_of_a_small_tensor_is_refused_by_its_shape(tmp_path: Path) -> None:
    file = save({"model": {"weight": torch.ones(1).expand(10**12)}}, tmp_path / "a.pth")
    model = torch.nn.Linear(1, 1, bias=False)
    with pytest.raises(UserError, match=r"weight \(other shape\)"):
        fill(model, read_weights(file), file)


def test_the_text_encoder_is_bert_with_a_tokenizer_that_fits(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path / "bert")
    assert read_text_encoder(str(folder)).config.hidden_size == 32
    facts = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(facts | {"vocab_size": 9}))
    assert "vocab_size is 9" in refusal(lambda path: read_text_encoder(str(path)), folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    assert "a roberta model" in refusal(lambda path: read_text_encoder(str(path)), folder)
    assert "no such folder" in refusal(lambda path: read_text_encoder(str(path)), tmp_path / "nothing")


def test_names_follow_the_table() -> None:
    swin = "model.backbone.conv_encoder.model"
    assert (
        renamed("backbone.0.layers.2.blocks.5.norm2.bias") == f"{swin}.swin.encoder.layers.2.blocks.5.layernorm_after.bias"
    )
    assert renamed("transformer.decoder.layers.11.norm3.weight") == "model.decoder.layers.11.final_layer_norm.weight"
    assert renamed("transformer.level_embed") == "model.level_embed"
    assert renamed("something.else") == "something.else"
    tensors = converted_weights(
        {"transformer.decoder.layers.0.ca_text.in_proj_bias": torch.arange(6.0), "bert.pooler.dense.bias": torch.ones(1)}
    )
    attention = "model.decoder.layers.0.encoder_attn_text"
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        f"{attention}.query.bias": [0, 1],
        f"{attention}.key.bias": [2, 3],
        f"{attention}.value.bias": [4, 5],
    }


def test_the_converter_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    weights = save({"model": {"a": torch.ones(1)}}, tmp_path / "a.pth")
    encoder, odd = write_text_encoder(tmp_path / "bert"), write_text_encoder(tmp_path / "odd", separators=False)
    command = ["--weights", str(weights), "--config", str(tmp_path / "config.py"), "--out", str(tmp_path / "out")]
    assert main([*command, "--text-encoder", str(odd)]) == 2
    assert "needs the token ids" in capsys.readouterr().err
    assert main([*command, "--text-encoder", str(encoder)]) == 2
    assert "(missing)" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert main([*command, "--text-encoder", str(encoder)]) == 2
    assert "there already" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def settings(**values: str | None) -> DetectorSettings:
    usual = {"backend": "transformers", "detector": "models/sprite/detector"}
    usual |= dict.fromkeys(("revision", "config", "text_encoder"))
    return DetectorSettings(
        **(usual | values), resolution=64, box_threshold=0.3, text_threshold=0.3, batch=1, keep_empty=True
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"config": "a.py"}, r"boxes\.config: only boxes\.backend = groundingdino takes one"),
        ({"text_encoder": "bert"}, r"boxes\.text_encoder: only boxes\.backend = groundingdino takes one"),
        ({"backend": "groundingdino"}, r"boxes\.config = null: name the checkpoint's configuration file"),
        ({"backend": "groundingdino", "config": "a.py", "revision": "main"}, r"boxes\.revision: only .* transformers"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, str | None], message: str) -> None:
    with pytest.raises(UserError, match=message):
        detector_identity(settings(**values))
    with pytest.raises(UserError, match=message):
        open_detector(settings(**values), "cpu", torch.float32)


@pytest.mark.skipif(importlib.util.find_spec("groundingdino") is not None, reason="the extra is installed")
def test_without_the_extra_the_way_to_install_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    own = settings(backend="groundingdino", detector="a.pth", config=str(tmp_path / "config.py"))
    message = r'is not installed; `pip install -c constraints\.txt -e "\.\[groundingdino\]"`'
    with pytest.raises(UserError, match=message):
        detector_identity(own)
    with pytest.raises(UserError, match=message):
        open_detector(own, "cpu", torch.float32)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_without_torchvision_nothing_is_declared() -> None:
    let_torchvision_import()
    assert not hasattr(torch.ops.torchvision, "nms")
