"""`groundreel import style`: what it writes, prints and refuses, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from groundreel.cli import main
from tasks.dreamframe.style_files import SDXL_WIDTHS, StyleEmbedding, load_style, save_style

TARGET = Path("data/dreamframe/imported/story_0_Dramatic.safetensors")
SIZES = "1 vector of 768 and 1280 numbers\n"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", "style", *(str(argument) for argument in arguments)])


def original() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pair = zip(("emb", "emb2"), SDXL_WIDTHS, strict=True)
    return {name: torch.randn(width, generator=generator).bfloat16() for name, width in pair}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(original(), "story_0_Dramatic.pt")
    return Path("story_0_Dramatic.pt")


def test_a_style_comes_over_and_goes_back(path: Path) -> None:
    result = call(path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{TARGET}: <dramatic>, {SIZES}", "")
    style, facts = load_style(TARGET)
    assert facts == {"token": "<dramatic>", "keyword": "Dramatic", "vectors": 1}
    assert torch.equal(style.clip_l[0], original()["emb"].float())
    assert torch.equal(style.clip_g[0], original()["emb2"].float())
    assert call(TARGET, "--export", "--out", "back.pt").stdout == f"back.pt: {SIZES}"
    back = torch.load("back.pt", weights_only=True)
    assert back.keys() == original().keys()
    assert all(torch.equal(back[name], vector) for name, vector in original().items())
    assert call("back.pt", "--out", "again.safetensors", "--token", "<dramatic>").exit_code == 0
    assert torch.equal(load_style(Path("again.safetensors"))[0].clip_g, style.clip_g)


@pytest.mark.parametrize(
    ("name", "token"),
    [("Old Film.pt", "<old-film>"), ("allNoir.pt", "<noir>"), ("allegory.pt", "<allegory>"), ("story_12_x.pt", "<x>")],
)
def test_the_token_comes_from_the_name(path: Path, name: str, token: str) -> None:
    path.rename(name)
    assert call(name, "--out", "style.safetensors").exit_code == 0
    assert load_style(Path("style.safetensors"))[1]["token"] == token


def test_nothing_is_replaced_unless_told(path: Path) -> None:
    assert call(path).exit_code == 0
    before = TARGET.read_bytes()
    result = call(path, "--token", "<other>")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"groundreel: {TARGET} is there already; name another file after --out, or replace with --force\n"
    )
    assert TARGET.read_bytes() == before
    assert call(path, "--out", path, "--force").exit_code == 2
    assert call(path, "--token", "<other>", "--force").exit_code == 0
    assert load_style(TARGET)[1]["token"] == "<other>"  # noqa: S105 - a word of the vocabulary


def test_folders_of_stages_are_left_alone(path: Path) -> None:
    Path("dvc.yaml").write_text("stages:\n  plot:\n    cmd: plot\n    outs: [data/dreamframe]\n")
    result = call(path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the stage plot deletes this folder" in result.stderr
    assert not Path("data").exists()


def test_what_cannot_be_taken_over_is_one_line(path: Path) -> None:
    Path("text.pt").write_text("no style")
    torch.save({"emb": torch.zeros(768)}, "half.pt")
    torch.save({**original(), "emb": torch.full((768,), torch.nan)}, "nan.pt")
    save_style(Path("two.safetensors"), StyleEmbedding(torch.zeros(2, 768), torch.zeros(2, 1280)), {})
    path.rename("_.pt")
    wrong: dict[tuple[str, ...], str] = {
        ("none.pt",): "no such file", ("text.pt",): "not a .pt file", ("half.pt",): "no tensors emb and emb2",
        ("nan.pt",): "NaN", ("_.pt",): "--token", ("_.pt", "--token", "Two words"): "style token",
        ("two.safetensors",): "not a .pt file", ("two.safetensors", "--export"): "2 vectors",
        ("_.pt", "--export"): "import it as a style", ("two.safetensors", "--export", "--token", "<x>"): "--token",
    }  # fmt: skip
    for arguments, told in wrong.items():
        result = call(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert told in result.stderr, arguments
        assert result.stderr.count("\n") == 1
    assert not Path("data").exists()
