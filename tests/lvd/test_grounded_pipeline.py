"""The grounded text-to-video pipeline: what each method does, and that a video does not depend on its batch."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, TextToVideoSDPipeline
from diffusers.models.attention import GatedSelfAttentionDense
from safetensors.torch import load_file, save_file
from torch import Tensor

from tasks.common.errors import UserError
from tasks.igligen.adapters import add_adapters
from tasks.lvd.grounded_pipeline import GroundedTextToVideoPipeline
from tasks.lvd.grounding import METHODS, Grounding, Method, grounding_of
from tasks.lvd.guidance_settings import Guidance
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.pipeline_loading import load_pipeline
from tasks.lvd.video_errors import VideoError
from tests.lvd.layouts_for_tests import along, layout, only_in, still
from tests.video.tiny_text_to_video import ATTENTION_LAYERS, write_tiny_text_to_video

FRAMES, SIDE = 3, 32
SMALL = {"num_frames": FRAMES, "height": SIDE, "width": SIDE, "num_inference_steps": 3, "output_type": "latent"}
GUIDANCE = Guidance.model_validate(
    {"layers": list(ATTENTION_LAYERS[:3]), "max_iter": 2, "max_index_step": 2, "loss_threshold": 0.0, "loss_scale": 20.0}
)
CAPTIONS = ["a red car and a dog", "a lively cat", "a bird on a street"]
LAYOUTS = [
    layout(("red car", along(0, 60, 120, 180, 240, 300, side=200)), ("dog", only_in({0, 1, 2}, (250, 200, 200, 250)))),
    layout(("lively cat", still((100, 100, 300, 200)))),
    layout(*[("bird", still((40 * n, 50 * n, 200, 150))) for n in range(4)]).model_copy(update={"background": "street"}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_text_to_video(tmp_path_factory.mktemp("checkpoint"))


def open_adapters(pipeline: GroundedTextToVideoPipeline) -> None:
    """Adds adapters with open gates, so that they matter."""
    torch.manual_seed(3)
    add_adapters(pipeline.unet)
    for module in pipeline.unet.modules():
        if isinstance(module, GatedSelfAttentionDense):
            torch.nn.init.constant_(module.alpha_attn, 0.7)
            torch.nn.init.constant_(module.alpha_dense, 0.4)
    torch.nn.init.normal_(pipeline.unet.position_net.null_positive_feature)


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> GroundedTextToVideoPipeline:
    made = load_pipeline(str(folder), None, "cpu", torch.float32)
    open_adapters(made)
    return made


@pytest.fixture
def fuser_calls(pipeline: GroundedTextToVideoPipeline) -> Iterator[list[Tensor]]:
    """The grounding tokens that the first fuser gets while it is enabled."""
    fuser = next(module for module in pipeline.unet.modules() if isinstance(module, GatedSelfAttentionDense))
    calls: list[Tensor] = []
    handle = fuser.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[1]) if module.enabled else None)
    yield calls
    handle.remove()


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def groundings(frames: int = FRAMES) -> list[Grounding]:
    return [grounding_of(item, frames) for item in LAYOUTS]


def make(pipeline: GroundedTextToVideoPipeline, method: Method, which: list[int], **changes: Any) -> Tensor:
    made = pipeline(
        [CAPTIONS[n] for n in which], [groundings()[n] for n in which], method, guidance=GUIDANCE,
        generator=seeds(*which), **{**SMALL, **changes},
    )  # fmt: skip
    return made.frames


def test_the_baseline_is_what_diffusers_makes(folder: Path, pipeline: GroundedTextToVideoPipeline) -> None:
    deprecated = TextToVideoSDPipeline.from_pretrained(folder)
    deprecated.set_progress_bar_config(disable=True)
    deprecated.scheduler = DPMSolverMultistepScheduler.from_config(deprecated.scheduler.config)
    latents = torch.randn(2, 4, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    same = {"num_frames": 8, "height": 64, "width": 64, "num_inference_steps": 3, "guidance_scale": 7.0}
    theirs = deprecated(CAPTIONS[:2], latents=latents, negative_prompt=["dull"] * 2, **same).frames
    ours = pipeline(CAPTIONS[:2], latents=latents, negative_prompt="dull", **same).frames
    assert ours.shape == (2, 8, 64, 64, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert ours.std() > 0.01


def test_the_baseline_without_negative_prompt_and_guidance_scale(
    folder: Path, pipeline: GroundedTextToVideoPipeline
) -> None:
    deprecated = TextToVideoSDPipeline(**{**pipeline.components})
    deprecated.set_progress_bar_config(disable=True)
    theirs = deprecated(CAPTIONS[1], generator=seeds(4)[0], guidance_scale=1.0, **SMALL).frames
    ours = pipeline(CAPTIONS[1], generator=seeds(4)[0], guidance_scale=1.0, **SMALL).frames
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_video_does_not_depend_on_its_batch(pipeline: GroundedTextToVideoPipeline, method: Method) -> None:
    together = make(pipeline, method, [0, 1, 2])
    alone = torch.cat([make(pipeline, method, [n]) for n in (0, 1, 2)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    other_way = make(pipeline, method, [2, 0])
    torch.testing.assert_close(together[[2, 0]], other_way, rtol=1e-4, atol=1e-4)


def test_methods_differ(pipeline: GroundedTextToVideoPipeline) -> None:
    """With layouts whose prompts are the bare captions, so that only what a method does makes a difference."""
    made = [make(pipeline, method, [0]) for method in METHODS]
    for index, one in enumerate(made):
        for other in made[index + 1 :]:
            assert (one - other).abs().max() > 1e-3
    torch.testing.assert_close(make(pipeline, "adapters", [0], beta=0.0), made[0], rtol=0, atol=0)
    torch.testing.assert_close(make(pipeline, "adapters+guidance", [0], beta=0.0), made[1], rtol=0, atol=0)


@pytest.mark.parametrize(("beta", "steps"), [(0.0, 0), (0.34, 1), (0.67, 2), (0.99, 2), (1.0, 3)])
def test_adapters_act_in_the_first_steps(
    pipeline: GroundedTextToVideoPipeline, fuser_calls: list[Tensor], beta: float, steps: int
) -> None:
    make(pipeline, "adapters+guidance", [0], beta=beta)
    assert len(fuser_calls) == steps, "guidance runs without adapters"


def test_the_unconditional_half_sees_null_tokens_only(
    pipeline: GroundedTextToVideoPipeline, fuser_calls: list[Tensor]
) -> None:
    make(pipeline, "adapters", [1, 2], num_inference_steps=1)
    (tokens_NSD,) = fuser_calls
    without, with_objects = tokens_NSD.unflatten(0, (2, 2, FRAMES)).unbind(0)
    assert tokens_NSD.shape[1] == 30
    null_D = without[0, 0, 0]
    assert torch.equal(without, null_D.expand_as(without))
    objects = (with_objects != null_D).any(-1).sum(-1)
    assert objects.tolist() == [[1] * FRAMES, [4] * FRAMES]


def test_prompts_of_the_methods(pipeline: GroundedTextToVideoPipeline) -> None:
    zebra = layout(("zebra", still()), ("cat", still())).model_copy(update={"background": "meadow"})
    said = {}
    for method in METHODS:
        made = pipeline("a cat", grounding_of(zebra, FRAMES), method, guidance=GUIDANCE, generator=seeds(0), **SMALL)
        said[method] = made.reports[0].prompt
    assert said["baseline"] == "a cat"
    assert said["adapters"] == "a cat, meadow background"
    assert said["guidance"] == said["adapters+guidance"]
    assert said["guidance"].startswith("a cat, meadow background")
    assert said["guidance"].endswith("| zebra")


def test_reports(pipeline: GroundedTextToVideoPipeline, caplog: pytest.LogCaptureFixture) -> None:
    many = layout(*[(f"bird {n}", still((n, n, 100, 100))) for n in range(40)])
    off_canvas = layout(("bird", still((600, 0, 100, 100))), ("cat", still()))
    given = [grounding_of(item, FRAMES) for item in (many, off_canvas)]
    with caplog.at_level(logging.WARNING):
        made = pipeline(["birds", "cat " * 80], given, "adapters", generator=seeds(0, 1), **SMALL)
    assert [report.slots_dropped for report in made.reports] == [10 * FRAMES, 0]
    assert [report.prompt_cut for report in made.reports] == [False, True]
    assert len([record for record in caplog.records if "grounding slot" in record.message]) == 1
    guided = pipeline(CAPTIONS[0], groundings()[0], "guidance", guidance=GUIDANCE, generator=seeds(0), **SMALL)
    state = guided.reports[0].guidance
    assert state.iterations == 4
    assert len(state.energies) == 2


def broken_layouts() -> dict[str, tuple[str, Grounding | None, str]]:
    nameless = layout(("  ", still()))
    long = " ".join(["very"] * 80)
    return {
        "none": ("a cat", None, "no-layout"),
        "nameless": ("a cat", grounding_of(nameless, FRAMES), "no-tokens"),
        "too long": (f"a {long} cat", grounding_of(layout(("cat", still())), FRAMES), "too-long"),
    }


@pytest.mark.parametrize(("caption", "grounding", "reason"), broken_layouts().values(), ids=broken_layouts())
def test_the_prompt_that_is_at_fault_is_named(
    pipeline: GroundedTextToVideoPipeline, caption: str, grounding: Grounding | None, reason: str
) -> None:
    given = [groundings()[1], grounding]
    with pytest.raises(VideoError) as caught:
        pipeline([CAPTIONS[1], caption], given, "guidance", guidance=GUIDANCE, generator=seeds(0, 1), **SMALL)
    assert (caught.value.index, caught.value.reason) == (1, reason)


def test_the_state_of_the_adapters_is_restored(pipeline: GroundedTextToVideoPipeline) -> None:
    fusers = [module for module in pipeline.unet.modules() if isinstance(module, GatedSelfAttentionDense)]
    before = [number % 2 == 0 for number in range(len(fusers))]
    for fuser, enabled in zip(fusers, before, strict=True):
        fuser.enabled = enabled
    broken = torch.full((1, 4, FRAMES, 8, 8), torch.nan)
    try:
        with pytest.raises(VideoError, match="not-finite"):
            pipeline(CAPTIONS[0], groundings()[0], "adapters+guidance", guidance=GUIDANCE, latents=broken, **SMALL)
        with pytest.raises(VideoError, match="not-finite"):
            pipeline(CAPTIONS[0], groundings()[0], "adapters", latents=broken, **SMALL)
        assert [fuser.enabled for fuser in fusers] == before
        made = make(pipeline, "adapters", [0])
        assert [fuser.enabled for fuser in fusers] == before
    finally:
        for fuser in fusers:
            fuser.enabled = True
    torch.testing.assert_close(made, make(pipeline, "adapters", [0]), rtol=0, atol=0)
    assert all(weight.requires_grad for weight in pipeline.unet.parameters())


def test_a_wide_video_of_24_frames(pipeline: GroundedTextToVideoPipeline) -> None:
    """The latents of Zeroscope, 40x72; the sprite world's autoencoder makes 160x288 pixels of them."""
    given = Guidance.model_validate({**GUIDANCE.model_dump(), "max_iter": 1, "layers": [ATTENTION_LAYERS[0]]})
    tall = layout(("cat", still((0, 0, 100, 512))))
    made = pipeline(
        "a cat", grounding_of(tall, 24), "adapters+guidance", guidance=given, num_frames=24, height=160, width=288,
        num_inference_steps=1, guidance_scale=1.0, generator=seeds(0), output_type="latent",
    )  # fmt: skip
    assert made.frames.shape == (1, 4, 24, 40, 72)
    assert made.frames.isfinite().all()
    assert made.reports[0].guidance.iterations == 1


def test_the_scheduler_is_built_as_the_checkpoint_says(pipeline: GroundedTextToVideoPipeline) -> None:
    scheduler = pipeline.scheduler
    assert isinstance(scheduler, DPMSolverMultistepScheduler)
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.alphas_cumprod[-1] < 1e-6, "betas are rescaled to end in pure noise"
    scheduler.set_timesteps(5)
    assert scheduler.timesteps.tolist() == [999, 799, 599, 399, 199]


@pytest.mark.parametrize(
    "name", ["DDPMScheduler", "DDIMScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"]
)
def test_other_schedulers(folder: Path, name: str) -> None:
    pipeline = load_pipeline(str(folder), None, "cpu", torch.float32, name)
    assert type(pipeline.scheduler).__name__ == name
    made = [pipeline(CAPTIONS[1], groundings()[1], "guidance", guidance=GUIDANCE, generator=seeds(1), **SMALL) for _ in "ab"]
    assert torch.equal(made[0].frames, made[1].frames)
    both = pipeline(CAPTIONS[:2], groundings()[:2], "guidance", guidance=GUIDANCE, generator=seeds(0, 1), **SMALL)
    torch.testing.assert_close(both.frames[1:], made[0].frames, rtol=1e-3, atol=1e-3)


def test_diffusers_own_loader_reads_it_too(folder: Path, pipeline: GroundedTextToVideoPipeline) -> None:
    loaded = GroundedTextToVideoPipeline.from_pretrained(folder)
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.scheduler, DDPMScheduler)
    loaded.scheduler = DPMSolverMultistepScheduler.from_config(loaded.scheduler.config)
    torch.testing.assert_close(make(loaded, "guidance", [1]), make(pipeline, "guidance", [1]))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "magic"}, "no such method"),
    "no guidance": ({"method": "guidance", "guidance": None}, "needs `guidance`"),
    "frames": ({"method": "adapters", "num_frames": 5}, "a layout of 3 frames"),
    "sides": ({"height": 30}, "multiples of 4"),
    "layouts": ({"layout": []}, "1 prompts with 0 layouts"),
    "latents": ({"latents": torch.zeros(1, 4, 3, 9, 8)}, "latents of shape"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(pipeline: GroundedTextToVideoPipeline, changes: dict[str, Any], said: str) -> None:
    given = {"layout": groundings()[0], "guidance": GUIDANCE, "generator": seeds(0), **SMALL, **changes}
    with pytest.raises(UserError, match=said):
        pipeline(CAPTIONS[:1], **given)


def test_adapters_are_needed_for_adapters(folder: Path) -> None:
    bare = load_pipeline(str(folder), None, "cpu", torch.float32)
    with pytest.raises(UserError, match="load_adapters"):
        make(bare, "adapters", [0])


def cut_weights(place: Path) -> None:
    file = place / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def pickled_weights(place: Path) -> None:
    (place / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def nan_weights(place: Path) -> None:
    file = place / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_in.weight"][0, 0, 0, 0] = torch.nan
    save_file(weights, file, {"format": "pt"})


def other_width(place: Path) -> None:
    config = json.loads((place / "unet" / "config.json").read_text())
    (place / "unet" / "config.json").write_text(json.dumps({**config, "cross_attention_dim": 64}))


def no_tokenizer(place: Path) -> None:
    shutil.rmtree(place / "tokenizer")


def longer_prompts(place: Path) -> None:
    file = place / "tokenizer" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_max_length": 77}))


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (cut_weights, "UNet3DConditionModel cannot load it"),
    "pickle": (pickled_weights, "AutoencoderKL cannot load it"),
    "nan": (nan_weights, "NaN"),
    "other width": (other_width, "does not fit|cannot load it"),
    "no tokenizer": (no_tokenizer, "no tokenizer"),
    "longer prompts": (longer_prompts, "longest prompt 64, but tokenizer's 77"),
}


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)
def test_faulty_checkpoints_are_one_line(folder: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    shutil.copytree(folder, tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises(UserError, match=said) as caught:
        load_pipeline(str(tmp_path / "spoilt"), None, "cpu", torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["NoScheduler", "UNet3DConditionModel", "os"])
def test_no_such_scheduler(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match="no such scheduler"):
        load_pipeline(str(folder), None, "cpu", torch.float32, name)


def test_layouts_of_any_shape() -> None:
    empty = grounding_of(DynamicSceneLayout(prompt="a", frames=((), ())), 5)
    assert (empty.phrases, empty.tracks_OF4.shape) == ((), (0, 5, 4))


def test_a_layout_without_objects(pipeline: GroundedTextToVideoPipeline) -> None:
    empty = grounding_of(DynamicSceneLayout(prompt="a", frames=((), ())), FRAMES)
    made = pipeline("a cat", empty, "adapters+guidance", guidance=GUIDANCE, generator=seeds(0), **SMALL)
    assert made.reports[0].guidance.iterations == 0
