"""Training a style: what is drawn, what changes and what must not, exact resume, and steps that are not finite."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import StageError, UserError
from tasks.common.training_checkpoints import Checkpoints
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.dreamframe.style_objective import (
    LEARNING_RATES,
    SUFFIXES,
    TEMPLATES,
    draw_images,
    draw_prompts,
    learning_rate,
    style_latents,
    style_prompts,
)
from tasks.dreamframe.style_tokens import StyleTokens, random_start
from tasks.dreamframe.style_training import StyleSettings, StyleTraining
from tests.dreamframe.sdxl_for_tests import TOKEN, coloured_squares, open_training, text_parts, tiny_sdxl


def _run(training: StyleTraining, steps: int = 10_000) -> StyleTraining:
    for step in training.steps():
        if step >= steps:
            break
    return training


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("vectors", [1, 3])
def test_only_the_rows_change(vectors: int) -> None:
    pipeline = tiny_sdxl()
    models = (pipeline.text_encoder, pipeline.text_encoder_2, pipeline.unet, pipeline.vae)
    before = [{name: weight.clone() for name, weight in model.state_dict().items()} for model in models]
    tokens, training = open_training(pipeline, vectors, accumulate=1)
    start = tokens.embedding()
    _run(training)
    learned = tokens.embedding()
    for rows, old in zip(learned, start, strict=True):
        assert (rows != old).any(1).all(), "every vector has learned"
    tokens.remove()
    assert all(_equal(model.state_dict(), weights) for model, weights in zip(models, before, strict=True))
    assert all(weight.grad is None for model in models for weight in model.parameters())
    held = training.checkpoint().tensors
    assert {tensor.shape for name, tensor in held.items() if not name.endswith(".step")} == {(vectors, 24), (vectors, 40)}
    again, retraining = open_training(tiny_sdxl(), vectors, accumulate=1)
    _run(retraining)
    assert all(map(torch.equal, again.embedding(), learned)), "same seed, same bytes"


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_on_fixed_draws_falls(prediction: str) -> None:
    _, training = open_training(tiny_sdxl(prediction), 2, steps=20, batch=4, accumulate=1)
    before = training.fixed_loss(16)
    assert training.fixed_loss(16) == before
    _run(training)
    assert training.fixed_loss(16) < before - 0.003


def test_the_loss_is_the_error_of_the_predicted_noise() -> None:
    """The same by diffusers' own means, with the first draw of the training."""
    pipeline = tiny_sdxl()
    tokens, training = open_training(pipeline)
    loss, timestep = training._losses(0, [0])
    seen = {}
    pipeline.unet.register_forward_pre_hook(lambda _, inputs, named: seen.update(named, noisy=inputs[0]), with_kwargs=True)
    again, _ = training._losses(0, [0])
    assert torch.equal(loss, again)
    image = coloured_squares()[draw_images(0, [0], 8)]
    signal = pipeline.scheduler.alphas_cumprod[timestep].view(1, 1, 1, 1)
    noise = (seen["noisy"] - signal.sqrt() * image) / (1 - signal).sqrt()
    conditions = seen["added_cond_kwargs"]
    assert conditions["time_ids"].tolist() == [[32, 32, 0, 0, 32, 32]]
    prompt = style_prompts(TOKEN)[draw_prompts(0, [0], 20)[0]]
    states, pooled = tokens.encode([prompt])
    assert torch.equal(seen["encoder_hidden_states"], states)
    assert torch.equal(conditions["text_embeds"], pooled)
    predicted = pipeline.unet(seen["noisy"], timestep, states, added_cond_kwargs=conditions).sample
    torch.testing.assert_close(loss[0], (predicted - noise).square().mean(), rtol=1e-3, atol=1e-5)


def test_accumulated_batches_are_one_large_batch() -> None:
    whole, parts = open_training(batch=4, accumulate=1, steps=3), open_training(batch=2, accumulate=2, steps=3)
    for _, training in (whole, parts):
        _run(training)
    for rows, others in zip(whole[0].embedding(), parts[0].embedding(), strict=True):
        torch.testing.assert_close(rows, others, rtol=1e-3, atol=2e-4)


def test_gradient_checkpointing_changes_nothing() -> None:
    plain, saving = open_training(steps=3), open_training(steps=3, gradient_checkpointing=True)
    for _, training in (plain, saving):
        _run(training)
    for rows, others in zip(plain[0].embedding(), saving[0].embedding(), strict=True):
        torch.testing.assert_close(rows, others)


@pytest.mark.parametrize("done", [0, 3])
def test_resumed_is_the_same_to_the_byte(tmp_path: Path, done: int) -> None:
    """Six steps at once, and some, a checkpoint on the disk, and the others by another process's objects."""
    _, straight = open_training(vectors=2)
    _run(straight)
    _, first = open_training(vectors=2)
    if done:
        _run(first, done)
    store = Checkpoints(tmp_path, "key")
    early = first.checkpoint()
    store.save(early)
    _run(first)
    assert early.step == done
    assert early.state == {"skipped": 0, "skipped_in_a_row": 0, "curves": early.state["curves"]}
    resumed = open_training(vectors=2)[1]
    found = store.newest()
    assert found is not None
    resumed.restore(found)
    assert resumed.step == done
    _run(resumed)
    for other in (first, resumed):
        assert _equal(straight.checkpoint().tensors, other.checkpoint().tensors)
        assert straight.checkpoint().state == other.checkpoint().state
    assert _equal(early.tensors, found.tensors), "a checkpoint does not go on with the training"


def test_half_precision_keeps_rows_in_full() -> None:
    tokens, training = open_training(tiny_sdxl().to(torch.bfloat16))
    _run(training)
    assert {tensor.dtype for tensor in training.checkpoint().tensors.values()} == {torch.float32}
    assert not torch.equal(tokens.embedding().clip_l.bfloat16().float(), tokens.embedding().clip_l)
    with pytest.raises(UserError, match="float16"):
        open_training(tiny_sdxl().to(torch.float16))


def test_each_encoder_has_its_own_clipping() -> None:
    """The first step of AdamW hides the size of a gradient; its moments do not."""
    _, training = open_training(steps=1, clip=1e-4)
    _run(training)
    moments = training.checkpoint().tensors
    for name in ("clip_l", "clip_g"):
        assert float(moments[f"optimiser.{name}.exp_avg"].norm()) == pytest.approx(1e-5, rel=0.02)


def _train_through(tokens: StyleTokens, training: StyleTraining, bad_steps: set[int]) -> None:
    """Trains to the end and sees that bad steps change nothing."""
    before = tokens.embedding()
    for step in training.steps():
        now = tokens.embedding()
        assert torch.equal(now.clip_g, before.clip_g) == (step - 1 in bad_steps)
        before = now


def test_steps_that_are_not_finite_are_skipped_and_too_many_end_it() -> None:
    pipeline = tiny_sdxl()
    tokens, training = open_training(pipeline, steps=30, most_nonfinite_steps=2)
    bad_steps = {1, 3, 4}

    def hook(_module: Any, _inputs: Any, output: Any) -> None:
        if training.step in bad_steps:
            output.sample = output.sample * float("nan")

    pipeline.unet.register_forward_hook(hook)
    with pytest.raises(StageError, match="2 steps in a row, the last of them step 5") as stopped:
        _train_through(tokens, training, bad_steps)
    assert "\n" not in str(stopped.value)
    assert training.skipped == 3
    assert all(torch.isfinite(rows).all() for rows in tokens.embedding())


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(UserError, match="prediction_type sample"):
        open_training(tiny_sdxl("sample"))
    pipeline = tiny_sdxl()
    tokens = StyleTokens(TOKEN, text_parts(pipeline), random_start(text_parts(pipeline), 1, 0))
    with pytest.raises(UserError, match="no style images"):
        StyleTraining(tokens, pipeline.unet, pipeline.scheduler, coloured_squares()[:0], StyleSettings(), 0)


def test_the_original_prompts() -> None:
    prompts = style_prompts("<s>")
    assert len(set(prompts)) == len(TEMPLATES) * len(SUFFIXES) == 20
    assert prompts[0] == "generate an image in <s> painting style"
    assert prompts[-1] == "in style of <s> picture"
    assert style_prompts("<s>", ["{}!"], [""]) == ["<s>!"]
    for templates in (["no place"], ["{} {}"], []):
        with pytest.raises(UserError):
            style_prompts("<s>", templates)
    with pytest.raises(UserError):
        style_prompts("<s>", suffixes=[])


def test_the_original_learning_rates() -> None:
    rates = [learning_rate(step, LEARNING_RATES) for step in range(400)]
    assert Counter(rates) == {rate: steps for steps, rate in LEARNING_RATES}
    assert rates == sorted(rates, reverse=True)
    assert (rates[3], rates[4]) == (1e-3, 9e-4)
    assert learning_rate(5000, LEARNING_RATES) == 3e-4
    assert {learning_rate(step, ((1, 0.5),)) for step in range(9)} == {0.5}


@given(st.integers(0, 2**40), st.integers(1, 30), st.integers(0, 5))
def test_every_epoch_shows_each_image_once(seed: int, images: int, epoch: int) -> None:
    positions = range(epoch * images, (epoch + 1) * images)
    order = draw_images(seed, positions, images)
    assert sorted(order) == list(range(images))
    assert [draw_images(seed, [position], images)[0] for position in positions] == order


def test_prompts_are_drawn_uniformly() -> None:
    drawn = draw_prompts(0, range(4000), 4)
    assert [count / 4000 for _, count in sorted(Counter(drawn).items())] == pytest.approx([0.25] * 4, abs=0.03)
    assert draw_prompts(0, [7], 4) == [drawn[7]]


def test_latents_of_images_and_their_mirror_images(tmp_path: Path) -> None:
    vae: AutoencoderKL = tiny_sdxl().vae
    vae.save_pretrained(tmp_path)
    autoencoder = ImageAutoencoder(str(tmp_path), None, None, "cpu", torch.float32)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    plain, both = (style_latents(autoencoder, images, mirror, 0) for mirror in (False, True))
    assert plain.shape == (3, 4, 16, 16)
    assert torch.equal(both[:3], plain)
    mirrored = style_latents(autoencoder, np.ascontiguousarray(images[:, :, ::-1]), False, 0)
    assert not torch.equal(both[3:], mirrored), "noise of their own"
    exact = autoencoder.encode(images[:, :, ::-1], None)
    assert float((both[3:] - exact).abs().mean()) < float((plain - exact).abs().mean())
    assert torch.equal(style_latents(autoencoder, images[:2], True, 0)[:2], plain[:2])
    assert not plain.is_inference()
