"""The training loop: what is minimised, exact resume, what is trained, steps that are not finite, too little memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.denoising_objective import draw_noise, learning_rate, loss_weights, target
from tasks.common.errors import StageError, UserError
from tasks.common.training_checkpoints import Checkpoint, Checkpoints
from tasks.common.training_curves import Curves
from tasks.igligen.adapters import gates, is_adapter
from tasks.igligen.base_model import CaptionStates
from tasks.igligen.training import DivergedError, Training, make_accelerator
from tasks.spriteworld.text_to_video_model import build_noise_schedule
from tests.igligen.training_for_tests import forget_accelerate, open_training, weights
from tests.video.tiny_text_to_video import tiny_text_parts


def _run(training: Training, steps: int) -> Training:
    for step in training.steps():
        if step >= steps:
            break
    return training


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5), st.floats(0.5, 4))
def test_noise_depends_on_seed_and_position_alone(positions: list[int], bias: float) -> None:
    noise_BChw, timesteps_B = draw_noise(3, positions, (2, 3, 3), 1000, bias)
    for index, position in enumerate(positions):
        alone_BChw, timestep_B = draw_noise(3, [position], (2, 3, 3), 1000, bias)
        assert torch.equal(noise_BChw[index], alone_BChw[0])
        assert timesteps_B[index] == timestep_B[0]
    assert ((timesteps_B >= 0) & (timesteps_B < 1000)).all()


def test_timesteps_are_uniform_or_biased_to_noise() -> None:
    _, uniform = draw_noise(0, range(4000), (1, 1, 1), 1000, 1.0)
    _, biased = draw_noise(0, range(4000), (1, 1, 1), 1000, 2.0)
    assert np.histogram(uniform, 4, (0, 1000))[0] / 4000 == pytest.approx([0.25] * 4, abs=0.03)
    assert float(biased.float().mean()) == pytest.approx(1000 * (1 - 1 / 3), abs=20)


def test_targets_are_noise_or_velocity() -> None:
    latents, noise, timesteps = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), torch.tensor([10, 900])
    assert target(DDPMScheduler(), latents, noise, timesteps) is noise
    schedule = build_noise_schedule()
    alphas = schedule.alphas_cumprod[timesteps].view(2, 1, 1, 1)
    torch.testing.assert_close(
        target(schedule, latents, noise, timesteps), alphas.sqrt() * noise - (1 - alphas).sqrt() * latents
    )
    with pytest.raises(UserError, match="prediction_type sample"):
        target(DDPMScheduler(prediction_type="sample"), latents, noise, timesteps)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_weights(kind: str) -> None:
    schedule = DDPMScheduler(prediction_type=kind, rescale_betas_zero_snr=True)
    timesteps = torch.tensor([1, 300, 600, 999])
    assert loss_weights(schedule, timesteps, 0).tolist() == [1, 1, 1, 1]
    alphas = schedule.alphas_cumprod[timesteps].double()
    ratio = (alphas / (1 - alphas)).clamp(min=1e-8)
    expected = ratio.clamp(max=5) / (ratio if kind == "epsilon" else ratio + 1)
    assert loss_weights(schedule, timesteps, 5.0).tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert torch.isfinite(loss_weights(schedule, torch.arange(1000), 5.0)).all()


def test_the_learning_rate_rises_then_stays_or_falls() -> None:
    rates = [learning_rate(step, 1.0, 4, "constant", 10) for step in range(10)]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert learning_rate(0, 2.0, 0, "constant", 10) == 2.0
    falling = [learning_rate(step, 1.0, 4, "linear", 10) for step in range(4, 11)]
    assert falling == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])


@pytest.mark.parametrize(
    "changes", [{}, {"ema_decay": 0.9, "accumulate": 2, "batch": 2, "workers": 1, "schedule": "linear"}]
)
def test_resumed_is_the_same_to_the_byte(corpus: Path, model: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Six steps at once, and three, a checkpoint on the disk, and three by another process's objects."""
    straight = _run(open_training(corpus, model, **changes), 6)
    store = Checkpoints(tmp_path, "key")
    store.save(_run(open_training(corpus, model, **changes), 3).checkpoint())
    resumed = open_training(corpus, model, **changes)
    found = store.newest()
    assert found is not None
    resumed.restore(found)
    assert resumed.step == 3
    _run(resumed, 6)
    assert _equal(weights(straight), weights(resumed))
    assert straight.curves == resumed.curves
    whole, again = straight.checkpoint(), resumed.checkpoint()
    assert whole.state == again.state
    assert _equal(whole.tensors, again.tensors)


def test_only_adapters_are_trained(corpus: Path, model: Path) -> None:
    training = open_training(corpus, model)
    unet = training._base.unet
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    _run(training, 6)
    after = unet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if not is_adapter(name))
    trained = [name for name in before if is_adapter(name) and not torch.equal(before[name], after[name])]
    assert any(name.startswith("position_net") for name in trained)
    assert all(attention and dense for attention, dense in gates(unet).values()), "every gate has opened"
    held = set(training.checkpoint().tensors)
    assert {name.split(".", 1)[0] for name in held} == {"adapters", "optimiser"}
    assert all(is_adapter(name.split(".", 1)[1]) for name in held)


def test_the_loss_falls(corpus: Path, model: Path) -> None:
    training = _run(open_training(corpus, model, steps=30, learning_rate=1e-2, log_every=10, batch=6), 30)
    losses = [point["loss"] for point in training.curves.points["loss"]]
    assert losses[-1] is not None
    assert losses[0] is not None
    assert losses[-1] < 0.97 * losses[0]


def test_accumulated_batches_are_one_large_batch(corpus: Path, model: Path) -> None:
    whole = weights(_run(open_training(corpus, model, batch=6), 3))
    parts = weights(_run(open_training(corpus, model, batch=2, accumulate=3), 3))
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-3, atol=2e-4)


def test_the_average_stands_in_for_the_weights(corpus: Path, model: Path) -> None:
    training = _run(open_training(corpus, model, ema_decay=0.99), 4)
    own = weights(training)
    with training.optimiser.averaged():
        averaged = weights(training)
    assert _equal(weights(training), own)
    assert not _equal(own, averaged)


def test_reduced_precision_leaves_weights_in_full_precision(corpus: Path, model: Path) -> None:
    training = _run(open_training(corpus, model, mixed_precision="bf16"), 3)
    found = weights(training)
    assert {weight.dtype for weight in found.values()} == {torch.float32}
    assert not _equal(found, weights(_run(open_training(corpus, model), 3)))
    assert training.skipped == 0


def _when(training: Training, fails: Callable[[int], bool], change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Changes what the UNet predicts, at numbers of images of which `fails` is true."""

    def hook(_module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        if fails(len(inputs[0])):
            output.sample = change(output.sample)

    training._base.unet.register_forward_hook(hook)


def _train_through(training: Training, bad_steps: set[int]) -> None:
    """Trains to the end and sees that bad steps change nothing."""
    before = weights(training)
    for step in training.steps():
        is_bad = step - 1 in bad_steps
        assert bool(training.skipped_in_a_row) == is_bad
        assert _equal(before, weights(training)) == is_bad
        before = weights(training)


def test_steps_that_are_not_finite_are_skipped_and_too_many_end_it(corpus: Path, model: Path) -> None:
    training = open_training(corpus, model, steps=30, most_nonfinite_steps=3)
    bad_steps = {1, 3, 4, 6, 7, 8}
    _when(training, lambda _images: training.step in bad_steps, lambda sample: sample * float("nan"))
    with pytest.raises(DivergedError, match=r"3 steps in a row, the last of them step 9") as stopped:
        _train_through(training, bad_steps)
    assert "\n" not in str(stopped.value)
    assert training.skipped == 6
    assert all(torch.isfinite(tensor).all() for tensor in training.checkpoint().tensors.values())


def test_too_little_memory_halves_the_batch_once(corpus: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def out_of_memory(_sample: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")

    whole = weights(_run(open_training(corpus, model), 3))
    halved = open_training(corpus, model)
    _when(halved, lambda images: images > 2, out_of_memory)
    _run(halved, 3)
    for name, weight in whole.items():
        torch.testing.assert_close(weights(halved)[name], weight, rtol=1e-3, atol=2e-4)
    assert capsys.readouterr().err.count("going on with 2 images at once") == 1
    twice = open_training(corpus, model)
    _when(twice, lambda images: images > 1, out_of_memory)
    with pytest.raises(
        StageError, match=r"with 2 images at once: CUDA out of memory. Tried to allocate 2.00 GiB"
    ) as refusal:
        _run(twice, 1)
    assert "lower igligen.batch" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_precision_that_the_device_lacks_is_the_users_mistake() -> None:
    forget_accelerate()
    with pytest.raises(UserError, match="mixed_precision = fp16"):
        make_accelerator("cpu", "fp16")
    forget_accelerate()


def test_caption_states_do_not_depend_on_what_was_asked_before() -> None:
    tokenizer, text_encoder = tiny_text_parts()
    captions = ["a red car", "", "two cats", "a red car"]
    together = CaptionStates(tokenizer, text_encoder)(captions)
    assert torch.equal(together[0], together[3])
    one_by_one = CaptionStates(tokenizer, text_encoder)
    for index in (2, 0, 1):
        assert torch.equal(one_by_one([captions[index]])[0], together[index])
    few = CaptionStates(tokenizer, text_encoder)
    few._most = 2
    assert torch.equal(few(captions), together)
    assert len(few._kept) == 2
    assert torch.equal(few(captions), together), "also when some of them were forgotten"


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"weight": torch.full((3,), float(step))}, {"note": [0.1, None]})


def test_the_last_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, "key")
    assert store.newest() is None
    for step in (5, 10, 15):
        store.save(_checkpoint(step))
    assert sorted(path.name for path in (tmp_path / "key").iterdir()) == ["00000010", "00000015"]
    newest = store.newest()
    assert newest is not None
    assert (newest.step, newest.state) == (15, {"note": [0.1, None]})
    assert torch.equal(newest.tensors["weight"], torch.full((3,), 15.0))
    file = tmp_path / "key" / "00000015" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    before = store.newest()
    assert before is not None
    assert before.step == 10
    (tmp_path / "key" / "00000010" / "state.json").write_text("{")
    assert store.newest() is None


def test_checkpoints_of_another_training_are_not_seen_and_then_removed(tmp_path: Path) -> None:
    old, new = Checkpoints(tmp_path, "old"), Checkpoints(tmp_path, "new")
    old.save(_checkpoint(5))
    assert new.newest() is None
    new.save(_checkpoint(1))
    new.remove_other_trainings()
    assert old.newest() is None
    assert new.newest() is not None


def test_a_second_run_is_kept_away_and_leftovers_are_cleared(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, "key")
    leftover = tmp_path / "key" / ".00000005.abc.unfinished"
    leftover.mkdir(parents=True)
    with store.locked():
        assert not leftover.exists()
        with pytest.raises(StageError, match="another run"), Checkpoints(tmp_path, "other").locked():
            pass
    with store.locked():
        pass


def test_curves_are_tables_with_a_column_of_steps(tmp_path: Path) -> None:
    curves = Curves()
    curves.add_losses([1.0, 2.0, 4.0], [0, 249, 999], 1000)
    halfway = Curves.from_json(json.loads(json.dumps(curves.to_json())))
    halfway.add_losses([1 / 3], [250], 1000)
    halfway.close_losses(10, 1000)
    halfway.close_losses(20, 1000)
    halfway.add("gates", 10, attention=0.5, dense=1e-7)
    assert halfway.last("loss", "loss") == pytest.approx(22 / 12)
    assert halfway.last("nothing", "loss") is None
    (tmp_path / ".curves.0123abcd.unfinished").mkdir()
    halfway.write(tmp_path / "curves")
    assert [path.name for path in tmp_path.iterdir()] == ["curves"], "what a killed writer left is cleared"
    files = {path.name: path.read_text() for path in (tmp_path / "curves").iterdir()}
    assert files == {
        "loss.tsv": "step\tloss\n10\t1.83333\n",
        "loss_by_timestep.tsv": "step\t0-249\t250-499\t500-749\t750-999\n10\t1.5\t0.333333\t\t4\n",
        "gates.tsv": "step\tattention\tdense\n10\t0.5\t1e-07\n",
    }
