"""Style images of a user's folder, archives of pictures, and the prompts and tokens that come of any story."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.common.errors import UserError
from tasks.common.quarantine import Quarantine
from tasks.dreamframe.picture_archive import read_pictures, write_pictures
from tasks.dreamframe.story_tree import Story
from tasks.dreamframe.style_images import image_files, read_images
from tasks.dreamframe.style_parameters import Parameters
from tasks.dreamframe.style_requests import frame_prompts, image_prompts, spread, token_of
from tasks.dreamframe.style_tokens import check_token
from tests.dreamframe.stories_for_tests import stories
from tests.dreamframe.style_stage_for_tests import (
    PARAMETERS,
    SIDE,
    metrics,
    quarantine,
    run,
    save_models,
    story,
    write_images,
    write_params,
    write_stories,
)


def spoil(folder: Path) -> dict[str, str]:
    """Puts bad files beside the good ones; their names and the reasons that they should be set aside for."""
    good = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("L", (10_000, 6_000)).save(folder / "wide.png")
    with (folder / "large.png").open("wb") as file:
        file.truncate(60_000_000)
    (folder / "gone.png").symlink_to(folder / "nowhere")
    (folder / ".hidden").write_text("passed over")
    (folder / "more").mkdir()
    return {
        "cut.png": "damaged", "text.png": "not-an-image", "empty.jpg": "not-an-image", "wide.png": "too-many-pixels",
        "large.png": "too-large", "gone.png": "not-a-file",
    }  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path)
    write_stories(tmp_path, story())
    return tmp_path


def test_a_users_folder_with_broken_files(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(work / "images", 3)
    bad = spoil(work / "images")
    write_params(work, image_folder="images", steps=1)
    assert run() == 1
    assert "6 of 10 items are bad (60.0%), above max_bad_fraction" in capsys.readouterr().err
    write_params(work, image_folder="images", steps=1, max_bad_fraction=0.6)
    assert run() == 0
    assert {Path(line["item"]).name: line["reason"] for line in quarantine()} == bad
    assert (metrics()["images"], metrics()["quarantined"]) == (3, 6)
    first = (work / "made" / "out" / "mill.safetensors").read_bytes()
    Image.new("RGB", (50, 50), "red").save(work / "images" / "0.png")
    assert run() == 0
    assert (work / "made" / "out" / "mill.safetensors").read_bytes() != first, "other images, another style"


def test_too_few_good_images_are_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(work / "images" / "mill", 2)
    spoil(work / "images" / "mill")
    write_params(work, image_folder="images", max_bad_fraction=1.0)
    assert run() == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (
        "style: mill: 2 good style images, at least 3 are needed; put more into style.image_folder, made/quarantine says "
        "which are bad"
    )
    assert len(quarantine()) == 6, "told although the stage failed"


def test_images_are_cropped_not_squashed(tmp_path: Path) -> None:
    """A circle in a wide picture stays a circle."""
    across, down = np.meshgrid(np.arange(160), np.arange(80))
    circle = np.where((across - 79.5) ** 2 + (down - 39.5) ** 2 < 30**2, 200, 100).astype(np.uint8)
    Image.fromarray(circle).convert("RGB").save(tmp_path / "circle.png")
    (plain,) = read_images(tmp_path, 40, False, Quarantine())
    inside = plain[..., 0] > 150
    assert (plain.shape, plain.min(), plain.max()) == ((40, 40, 3), 100, 200)
    assert inside.any(0).sum() == inside.any(1).sum() == 30
    (stretched,) = read_images(tmp_path, 40, True, Quarantine())
    assert stretched.min() == 0
    assert stretched.max() >= 254


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(UserError, match="1001 files"):
        image_files(tmp_path)


@given(
    st.dictionaries(st.from_regex(r"[a-z0-9]{1,8}\.png", fullmatch=True), st.tuples(*[st.integers(1, 9)] * 3), max_size=5)
)
def test_an_archive_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, tuple[int, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    random = np.random.default_rng(0)
    pictures = {name: random.integers(0, 256, (a, b, 3), dtype=np.uint8) for name, (a, b, _) in sizes.items()}
    if pictures:
        for name in ("one.tar", "two.tar"):
            write_pictures(folder / name, pictures.items())
        assert (folder / "one.tar").read_bytes() == (folder / "two.tar").read_bytes()
        found = dict(read_pictures(folder / "one.tar"))
        assert list(found) == list(pictures)
        assert all(np.array_equal(found[name], pixels) for name, pixels in pictures.items())


def hostile(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """An archive of files and, where there is no content, links."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if data is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data or b""))
    return path


def test_hostile_archives_are_one_line(tmp_path: Path) -> None:
    encoded = io.BytesIO()
    Image.new("RGB", (4, 4)).save(encoded, "PNG")
    png = encoded.getvalue()
    archives = {
        "path": [("../a.png", png)], "folder": [("a/b.png", png)], "name": [("a.txt", png)], "link": [("a.png", None)],
        "twice": [("a.png", png), ("a.png", png)], "text": [("a.png", b"text")], "cut": [("a.png", png[:40])],
        "escape": [("\x1b[31m.png", png)],
    }  # fmt: skip
    paths = [hostile(tmp_path / f"{name}.tar", *members) for name, members in archives.items()]
    whole = hostile(tmp_path / "whole.tar", ("a.png", png)).read_bytes()
    (tmp_path / "short.tar").write_bytes(whole[:700])
    (tmp_path / "no.tar").write_text("no archive at all")
    for path in [*paths, tmp_path / "short.tar", tmp_path / "no.tar", tmp_path / "none.tar", tmp_path]:
        with pytest.raises(UserError) as refused:
            list(read_pictures(path))
        assert str(refused.value).startswith(str(path))
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["../a.png", "a.jpg", "", "a/b.png"])
def test_names_of_pictures_are_plain(tmp_path: Path, name: str) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    for names in ([name], ["a.png", "a.png"]):
        with pytest.raises(ValueError, match="no name for a picture"):
            write_pictures(tmp_path / "a.tar", ((one, pixels) for one in names))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("keyword", "token"),
    [("Storybook", "<storybook>"), ("Old Film", "<old-film>"), ("film - noir", "<film-noir>"), ("Caf\u00e9", "<cafe>")],
)
def test_tokens_of_keywords(keyword: str, token: str) -> None:
    assert token_of(keyword) == token


@given(st.text(max_size=60))
def test_a_token_is_one_or_none(keyword: str) -> None:
    token = token_of(keyword)
    if token and len(token) <= 40:
        check_token(token, 1, [])
    assert (token == "") == (not any(character.isascii() and character.isalnum() for character in token))


@given(stories(), st.integers(1, 4), st.integers(1, 9))
def test_prompts_of_any_story(tree: Story, per_place: int, most: int) -> None:
    places = {frame.place for frame in tree.frames()} - {""}
    prompts = image_prompts(tree, "{place}: {phrases}", per_place, most)
    assert len(prompts) == min(most, per_place * len(tree.locations or places))
    asked = frame_prompts(tree, "<token>", most)
    assert 1 <= len(asked) <= most
    assert all("<token>" in prompt for prompt in asked)


def test_prompts_of_places() -> None:
    assert image_prompts(story(), PARAMETERS["template"], 2, 3) == [
        "mill, soft light, round shapes", "brook, soft light, round shapes", "mill, soft light, round shapes",
    ]  # fmt: skip
    tricky = story(locations=("{phrases} {0.__class__}",), style_phrases=())
    assert image_prompts(tricky, "{place} in {phrases} {}", 1, 9) == ["{phrases} {0.__class__} in Storybook style {}"]
    assert frame_prompts(story(), "<s>", 1) == ["generate an image in <s> style: mill, a dog is sitting, calm"]
    assert spread(list("abcdef"), 3) == ["a", "c", "e"]


def test_sizes_come_from_the_resolution() -> None:
    parameters = Parameters(**PARAMETERS)
    assert parameters.conditioning == (SIDE, SIDE, 0, 0, SIDE, SIDE)
    published = [768, 768, 0, 0, 1024, 1024]
    assert Parameters(**{**PARAMETERS, "time_ids": published}).conditioning == tuple(published)
