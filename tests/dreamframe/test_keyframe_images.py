"""Pictures in a style: what they depend on, and what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.common.errors import StageError
from tasks.common.parameters import Compute
from tasks.dreamframe.keyframe_denoising import Picture, PictureRequest, denoise_within_memory, load_image_model
from tasks.dreamframe.keyframe_images import PICTURE_FILE, PicturesJob, StyleSource, generate, write_picture
from tasks.dreamframe.keyframe_settings import KeyframeSettings
from tasks.dreamframe.style_tokens import StyleTokens
from tests.dreamframe.keyframes_for_tests import COMPUTE, SETTINGS, write_models, write_styles
from tests.dreamframe.sdxl_for_tests import TOKEN, style_of

REQUESTS = tuple(PictureRequest(f"{n}", f"{n}", f"in {TOKEN} style: picture {n}", n) for n in range(5))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    for seed, name in enumerate(("kite", "boat")):
        write_styles(folder, name, seed)
    return folder


def settings_of(models: Path, **changes: Any) -> KeyframeSettings:
    values = {**SETTINGS, "model": str(models / "model"), **changes}
    return KeyframeSettings.model_validate({name: values[name] for name in KeyframeSettings.model_fields})


def pictures(models: Path, *requests: PictureRequest, style: str = "kite", start: int | None = None, **changes: Any) -> Any:
    source = StyleSource(models / f"{style}.safetensors", TOKEN, 2, start)
    settings = settings_of(models, **changes)
    job = PicturesJob(requests or REQUESTS[:1], source, settings, 3, Compute(**COMPUTE), Path())
    return np.stack([picture.levels for picture in generate(job)])


def test_a_picture_does_not_depend_on_its_batch(models: Path) -> None:
    together = pictures(models, *REQUESTS)
    assert len({picture.tobytes() for picture in together}) == 5
    alone = [pictures(models, request)[0] for request in REQUESTS[::-1]]
    assert np.array_equal(together, alone[::-1])


def test_filled_batches_do_not_depend_on_what_is_in_them(models: Path) -> None:
    """As they are made on a GPU: always `at_once`, the last ones repeated."""
    settings = settings_of(models)
    model = load_image_model(settings.model, None, None, None, settings.scheduler, Compute(**COMPUTE))
    tokens = StyleTokens(TOKEN, model.text_parts, style_of(2))
    try:
        found = denoise_within_memory(model, tokens, REQUESTS, settings, 3)
        again = denoise_within_memory(model, tokens, REQUESTS[1:4:2], settings, 3)
    finally:
        tokens.remove()
    assert len(found) == 5
    filled, fewer = (np.stack([picture.levels for picture in some]) for some in (found, again))
    assert np.abs(filled[1:4:2] - fewer).max() < 1e-6
    assert np.abs(filled - pictures(models, *REQUESTS)).max() < 1e-3


def test_prompt_style_seed_and_settings_decide(models: Path) -> None:
    first = pictures(models)
    request = REQUESTS[0]
    others = [
        pictures(models, request._replace(prompt=f"in {TOKEN} style: a castle")),
        pictures(models, request._replace(seed=9)),
        pictures(models, style="boat"),
        pictures(models, start=1),
        pictures(models, start=2),
        pictures(models, negative_prompt="grey"),
        pictures(models, guidance_scale=1.0),
        pictures(models, steps=3),
        pictures(models, scheduler="DDIMScheduler"),
        pictures(models, refiner=str(models / "refiner")),
        pictures(models, refiner=str(models / "refiner"), refiner_revision=None, handover=0.25, steps=4),
        pictures(models, refiner=str(models / "refiner"), refiner_revision=None, handover=0.75, steps=4),
    ]
    assert len({picture.tobytes() for picture in [first, *others]}) == 1 + len(others)
    assert np.array_equal(pictures(models), first), "no style stays in the models"
    plain = request._replace(prompt="a castle")
    assert np.array_equal(pictures(models, plain), pictures(models, plain, style="boat"))


def test_without_a_negative_prompt_as_the_pipeline_does_it(models: Path) -> None:
    """diffusers' own encoding of the same prompt, for a model trained with zeros."""
    plain = REQUESTS[0]._replace(prompt="a castle")
    settings = settings_of(models)
    model = load_image_model(settings.model, None, None, None, settings.scheduler, Compute(**COMPUTE))
    generator = torch.Generator().manual_seed(plain.seed)
    expected = model.base(
        "a castle", height=32, width=32, num_inference_steps=2, guidance_scale=3.0, generator=generator, output_type="np"
    ).images
    assert np.array_equal(pictures(models, plain), expected)


def test_one_step_with_a_refiner(models: Path) -> None:
    for handover in (0.01, 0.99):
        found = pictures(models, refiner=str(models / "refiner"), handover=handover, steps=1)
        assert np.isfinite(found).all()


@pytest.mark.parametrize(("most", "done"), [(3, [3, 3]), (2, [2, 2, 2]), (1, None)])
def test_memory_that_does_not_suffice(models: Path, most: int, done: list[int] | None) -> None:
    """A device that holds `most` pictures at once; with classifier-free guidance the UNet sees two of each."""
    settings = settings_of(models, steps=1)
    model = load_image_model(settings.model, None, None, None, settings.scheduler, Compute(**COMPUTE))
    tokens = StyleTokens(TOKEN, model.text_parts, style_of(2))
    finished: list[int] = []

    def limit(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2 * most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        finished.append(len(inputs[0]) // 2)

    handle = model.base.unet.register_forward_pre_hook(limit)
    try:
        if done is None:
            with pytest.raises(StageError, match=r"2 pictures of 32x32.*Tried to allocate 20.00 MiB.*keyframes\.batch"):
                denoise_within_memory(model, tokens, REQUESTS, settings, 3)
            return
        assert len(denoise_within_memory(model, tokens, REQUESTS, settings, 3)) == 5
    finally:
        handle.remove()
        tokens.remove()
    assert finished == done


def test_pictures_that_cannot_be_used(tmp_path: Path) -> None:
    flat = np.full((4, 4, 3), 0.5, np.float32)
    broken, good = flat.copy(), flat.copy()
    broken[0, 0, 0], good[0, 0] = np.nan, 1
    assert write_picture(Picture(broken, False), tmp_path)["reason"] == "not-finite"
    assert write_picture(Picture(flat, False), tmp_path)["reason"] == "flat"
    assert not list(tmp_path.iterdir())
    assert write_picture(Picture(good, True), tmp_path)["prompt_cut"]
    assert (tmp_path / PICTURE_FILE).exists()


def test_prompts_that_are_cut(models: Path) -> None:
    """The tiny tokenizer has a token per letter: 75 fit beside the two ends."""
    source = StyleSource(models / "kite.safetensors", TOKEN, 2)
    prompts = [f"{TOKEN} {'a' * 73}", f"{TOKEN} {'a' * 74}", "a" * 75, "a" * 76]
    requests = tuple(PictureRequest(prompt, prompt, prompt, 0) for prompt in prompts)
    job = PicturesJob(requests, source, settings_of(models, steps=1), 3, Compute(**COMPUTE), Path())
    assert [picture.prompt_cut for picture in generate(job)] == [False, True, False, True]
