"""Adapters change nothing until trained, and then only what they are for; they are GLIGEN's as diffusers has it."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    StableDiffusionPipeline,
    TextToVideoSDPipeline,
    UNet2DConditionModel,
    UNet3DConditionModel,
)
from diffusers.models.embeddings import get_fourier_embeds_from_boundingbox
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import nn

from tasks.igligen.adapters import (
    Unet,
    adapter_parameters,
    adapter_shapes,
    add_adapters,
    gates,
    grounding_kwargs,
    has_adapters,
    set_adapters_enabled,
)
from tasks.video.spatial_unet import spatial_unet
from tests.igligen.adapters_for_tests import adapted, gated_image_unet, grounding, predict, scramble
from tests.video.tiny_text_to_video import tiny_text_parts, write_tiny_text_to_video
from tests.video.unets_for_tests import FUSERS, WIDTHS, noise, small_unet, without_motion

KINDS = tuple(WIDTHS)
PER_FUSER = 17  # linear 2, attention 5, feed-forward 4, norms 4, gates 2
FRAMES = 3


def inputs(unet: Unet) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Latents, text states, and rows of grounding: images of a 2D UNet, frames of a 3D one."""
    latents_BCFhw, states_BTW = noise(unet, videos=2, frames=FRAMES)
    if isinstance(unet, UNet3DConditionModel):
        return latents_BCFhw, states_BTW, 2 * FRAMES
    return latents_BCFhw[:, :, 0], states_BTW, 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flat", [False, True], ids=["video", "image"])
def test_new_adapters_change_nothing_and_open_gates_do(kind: str, flat: bool) -> None:
    unet = spatial_unet(small_unet(kind)) if flat else small_unet(kind)
    latents, states_BTW, rows = inputs(unet)
    grounded = grounding(WIDTHS[kind], rows)
    before = predict(unet, latents, states_BTW)
    assert adapter_parameters(unet) == {}
    add_adapters(unet)
    assert set(gates(unet).values()) == {(0.0, 0.0)}
    assert torch.equal(predict(unet, latents, states_BTW, grounded), before)
    scramble(unet)
    assert not torch.allclose(predict(unet, latents, states_BTW, grounded), before, atol=1e-3)
    assert torch.equal(predict(unet, latents, states_BTW), before)
    set_adapters_enabled(unet, False)
    assert torch.equal(predict(unet, latents, states_BTW, grounded), before)
    set_adapters_enabled(unet, True)
    assert not torch.allclose(predict(unet, latents, states_BTW, grounded), before, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_spatial_block_has_a_fuser_and_no_temporal_one(kind: str) -> None:
    unet = adapted(kind)
    assert len(gates(unet)) == FUSERS[kind]
    spatial = {name for name, _ in unet.named_modules() if name.endswith("transformer_blocks.0") and ".attentions." in name}
    assert {name.removesuffix(".fuser") for name in gates(unet)} == spatial
    for name, (attention, dense) in gates(unet).items():
        fuser = unet.get_submodule(name)
        block = unet.get_submodule(name.removesuffix(".fuser"))
        assert fuser.attn.heads == block.attn1.heads
        assert attention == pytest.approx(math.tanh(fuser.alpha_attn.item()))
        assert dense == pytest.approx(math.tanh(fuser.alpha_dense.item()))


def test_adding_twice_is_refused() -> None:
    unet = small_unet("sprite")
    add_adapters(unet)
    with pytest.raises(ValueError, match="already"):
        add_adapters(unet)
    with pytest.raises(ValueError, match="already"):
        add_adapters(gated_image_unet(spatial_unet(small_unet("sprite"))))


def test_initial_weights_follow_the_random_state() -> None:
    first, second, third = (small_unet("sprite", seed=0) for _ in range(3))
    for unet, seed in ((first, 1), (second, 1), (third, 2)):
        torch.manual_seed(seed)
        add_adapters(unet)
    weights = [adapter_parameters(unet)["position_net.linears.0.weight"] for unet in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_are_those_of_the_library(kind: str) -> None:
    video = small_unet(kind)
    image = spatial_unet(video)
    library = gated_image_unet(image).state_dict()
    shapes = adapter_shapes(video)
    assert not has_adapters(video)
    add_adapters(image)
    assert {name: weight.shape for name, weight in image.state_dict().items()} == {
        name: weight.shape for name, weight in library.items()
    }
    add_adapters(video)
    assert {name: weight.shape for name, weight in adapter_parameters(video).items()} == shapes == adapter_shapes(image)
    assert len(shapes) == 8 + PER_FUSER * FUSERS[kind]
    assert "position_net.null_positive_feature" in shapes
    assert "mid_block.attentions.0.transformer_blocks.0.fuser.alpha_attn" in shapes


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_of_the_library_give_the_same_pictures_here(kind: str) -> None:
    image = spatial_unet(without_motion(small_unet(kind)))
    library = gated_image_unet(image)
    scramble(library)
    add_adapters(image)
    image.load_state_dict(library.state_dict())
    latents, states_BTW, rows = inputs(image)
    boxes_BS4, phrases_BSW, mask_BS = grounded = grounding(WIDTHS[kind], rows)
    raw = {"boxes": boxes_BS4, "positive_embeddings": phrases_BSW, "masks": mask_BS}
    with torch.no_grad():
        expected = library(latents, 500, encoder_hidden_states=states_BTW, cross_attention_kwargs={"gligen": raw}).sample
    assert torch.allclose(predict(image, latents, states_BTW, grounded), expected, atol=1e-6)
    assert not torch.allclose(predict(image, latents, states_BTW), expected, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_image_adapters_ground_every_frame_of_a_video_by_its_own_boxes(kind: str) -> None:
    video = without_motion(small_unet(kind))
    image = spatial_unet(video)
    add_adapters(image)
    scramble(image)
    add_adapters(video)
    video.load_state_dict(adapter_parameters(image), strict=False)
    latents_BCFhw, states_BTW, rows = inputs(video)
    boxes_BS4, phrases_BSW, mask_BS = grounding(WIDTHS[kind], rows)
    whole = predict(video, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, mask_BS))
    for frame in range(FRAMES):
        own = slice(frame, None, FRAMES)  # this frame of each video
        alone = predict(image, latents_BCFhw[:, :, frame], states_BTW, (boxes_BS4[own], phrases_BSW[own], mask_BS[own]))
        assert torch.allclose(whole[:, :, frame], alone, atol=1e-5)
    moved = boxes_BS4.clone()
    moved[FRAMES + 1, 0] = torch.tensor([0.0, 0.0, 0.1, 0.1])  # second video, second frame
    difference = (predict(video, latents_BCFhw, states_BTW, (moved, phrases_BSW, mask_BS)) - whole).abs().amax(dim=(1, 3, 4))
    assert difference[1, 1] > 1e-4
    assert difference.count_nonzero() == 1


def test_with_motion_a_box_is_felt_in_other_frames() -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    boxes_BS4, phrases_BSW, mask_BS = grounding(WIDTHS["sprite"], rows)
    whole = predict(unet, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, mask_BS))
    boxes_BS4[FRAMES + 1, 0] = torch.tensor([0.0, 0.0, 0.1, 0.1])
    difference = (
        (predict(unet, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, mask_BS)) - whole).abs().amax(dim=(1, 3, 4))
    )
    assert (difference[1] > 0).all()
    assert difference[0].max() == 0


def test_empty_slots_are_null_tokens_whatever_they_hold() -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    boxes_BS4, phrases_BSW, _ = grounding(WIDTHS["sprite"], rows)
    none = torch.zeros(rows, boxes_BS4.shape[1])
    full = predict(unet, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, none))
    blank = predict(unet, latents_BCFhw, states_BTW, (torch.zeros_like(boxes_BS4), torch.zeros_like(phrases_BSW), none))
    assert torch.equal(full, blank)
    # Null tokens are looked at like any other: they are not the same as no grounding at all.
    assert not torch.allclose(full, predict(unet, latents_BCFhw, states_BTW), atol=1e-3)
    tokens = grounding_kwargs(unet, boxes_BS4, phrases_BSW, none)["gligen"]["objs"]
    null = torch.cat([unet.position_net.null_positive_feature, unet.position_net.null_position_feature])
    assert torch.allclose(tokens, unet.position_net.linears(null).expand_as(tokens), atol=1e-6)


def test_the_unconditional_half_is_not_touched_by_boxes() -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    boxes_BS4, phrases_BSW, mask_BS = grounding(WIDTHS["sprite"], rows)
    mask_BS[:FRAMES] = 0  # the first video is the unconditional half
    both = predict(unet, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, mask_BS))
    half = (torch.zeros_like(boxes_BS4), torch.zeros_like(phrases_BSW), torch.zeros_like(mask_BS))
    without = predict(unet, latents_BCFhw, states_BTW, half)
    assert torch.allclose(both[0], without[0], atol=1e-6)
    assert not torch.allclose(both[1], without[1], atol=1e-3)


def test_order_of_slots_does_not_matter_but_number_of_empty_ones_does() -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    boxes_BS4, phrases_BSW, mask_BS = grounding(WIDTHS["sprite"], rows, slots=4)
    given = predict(unet, latents_BCFhw, states_BTW, (boxes_BS4, phrases_BSW, mask_BS))
    order = [2, 0, 3, 1]
    other = predict(unet, latents_BCFhw, states_BTW, (boxes_BS4[:, order], phrases_BSW[:, order], mask_BS[:, order]))
    assert torch.allclose(given, other, atol=1e-5)
    padded = tuple(torch.cat([tensor, torch.zeros_like(tensor)], dim=1) for tensor in (boxes_BS4, phrases_BSW, mask_BS))
    assert not torch.allclose(given, predict(unet, latents_BCFhw, states_BTW, padded), atol=1e-5)


def test_fourier_features_are_frequency_then_sine_cosine_then_coordinate() -> None:
    box = [0.1, 0.25, 0.5, 0.95]
    features = get_fourier_embeds_from_boundingbox(8, torch.tensor([[box]]))
    expected = [
        function(100 ** (frequency / 8) * coordinate)
        for frequency in range(8)
        for function in (math.sin, math.cos)
        for coordinate in box
    ]
    assert features.shape == (1, 1, 64)
    assert torch.allclose(features[0, 0], torch.tensor(expected), atol=1e-5)
    unet = adapted("sprite")
    phrase = torch.randn(WIDTHS["sprite"])
    token = grounding_kwargs(unet, torch.tensor([[box]]), phrase[None, None], torch.ones(1, 1))["gligen"]["objs"][0, 0]
    by_hand = unet.position_net.linears(torch.cat([phrase, torch.tensor(expected)]))
    assert torch.allclose(token, by_hand, atol=1e-5)


@pytest.mark.parametrize("flat", [False, True], ids=["video", "image"])
def test_only_adapters_learn_when_the_base_is_frozen(flat: bool) -> None:
    unet = spatial_unet(small_unet("sprite")) if flat else small_unet("sprite")
    unet.requires_grad_(False)
    add_adapters(unet)
    adapters = adapter_parameters(unet)
    trainable = {name for name, parameter in unet.named_parameters() if parameter.requires_grad}
    assert trainable == set(adapters)
    assert len(trainable) == 8 + PER_FUSER * FUSERS["sprite"]
    latents, states_BTW, rows = inputs(unet)
    optimiser = torch.optim.SGD(adapters.values(), lr=1.0)

    def reached() -> set[str]:
        optimiser.zero_grad()
        options = grounding_kwargs(unet, *grounding(WIDTHS["sprite"], rows))
        unet(
            latents, 500, encoder_hidden_states=states_BTW, cross_attention_kwargs=options
        ).sample.square().mean().backward()
        optimiser.step()
        return {name for name, parameter in adapters.items() if parameter.grad is not None and parameter.grad.any()}

    assert reached() == {name for name in adapters if "alpha_" in name}
    assert reached() == set(adapters)
    assert all(parameter.grad is None for name, parameter in unet.named_parameters() if name not in adapters)


def test_only_temporal_transformers_are_shielded() -> None:
    unet = adapted("modelscope")
    shielded = {type(module) for module in unet.modules() if module._forward_pre_hooks}
    assert shielded == {TransformerTemporalModel}
    seen: dict[str, set[str]] = {}

    def note(name: str) -> None:
        def hook(_module: nn.Module, _args: object, named: dict[str, object]) -> None:
            seen[name] = set(named["cross_attention_kwargs"] or {})

        unet.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True)

    note("mid_block.attentions.0")
    note("mid_block.temp_attentions.0")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    options = grounding_kwargs(unet, *grounding(WIDTHS["modelscope"], rows))
    unet(latents_BCFhw, 500, encoder_hidden_states=states_BTW, cross_attention_kwargs={**options, "other": 1})
    assert seen == {"mid_block.attentions.0": {"gligen", "other"}, "mid_block.temp_attentions.0": {"other"}}
    assert options.keys() == {"gligen"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    grounded = grounding(WIDTHS["sprite"], rows)
    exact = predict(unet, latents_BCFhw, states_BTW, grounded)
    low = small_unet("sprite").to(dtype)
    add_adapters(low)
    assert {parameter.dtype for parameter in adapter_parameters(low).values()} == {dtype}
    low.load_state_dict(unet.state_dict())
    rounded = predict(low, latents_BCFhw.to(dtype), states_BTW.to(dtype), grounded)
    assert rounded.dtype == dtype
    assert (rounded.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_copies_are_independent_and_whole() -> None:
    unet = adapted("sprite")
    latents_BCFhw, states_BTW, rows = inputs(unet)
    grounded = grounding(WIDTHS["sprite"], rows)
    before = predict(unet, latents_BCFhw, states_BTW, grounded)
    twin = copy.deepcopy(unet)
    assert torch.equal(predict(twin, latents_BCFhw, states_BTW, grounded), before)
    scramble(twin, seed=9)
    set_adapters_enabled(twin, False)
    assert torch.equal(predict(unet, latents_BCFhw, states_BTW, grounded), before)


def test_a_saved_image_unet_is_the_library_s_own(tmp_path: Path) -> None:
    unet = spatial_unet(adapted("sprite"))
    add_adapters(unet)
    scramble(unet)
    unet.save_pretrained(tmp_path)
    loaded = UNet2DConditionModel.from_pretrained(tmp_path)
    assert loaded.config.attention_type == "gated"
    weights, expected = loaded.state_dict(), unet.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())


def test_a_saved_video_unet_loads_as_its_base(tmp_path: Path) -> None:
    unet = adapted("sprite")
    unet.save_pretrained(tmp_path)
    loaded = UNet3DConditionModel.from_pretrained(tmp_path)
    latents_BCFhw, states_BTW, _ = inputs(unet)
    assert not has_adapters(loaded)
    assert torch.equal(predict(loaded, latents_BCFhw, states_BTW), predict(unet, latents_BCFhw, states_BTW))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_text_to_video(tmp_path_factory.mktemp("tiny"))


def test_stock_pipelines_run_without_knowing_the_adapters(tiny: Path) -> None:
    video = TextToVideoSDPipeline.from_pretrained(tiny)
    call = {"prompt": "a cat", "num_inference_steps": 2, "height": 32, "width": 32, "output_type": "latent"}

    def generate(pipeline: TextToVideoSDPipeline | StableDiffusionPipeline, **more: int) -> torch.Tensor:
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(**call, **more, generator=torch.Generator().manual_seed(0))[0]

    tokenizer, text_encoder = tiny_text_parts()
    image = StableDiffusionPipeline(
        unet=spatial_unet(video.unet), vae=video.vae, tokenizer=tokenizer, text_encoder=text_encoder,
        scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    before = generate(video, num_frames=2), generate(image)
    for unet in (video.unet, image.unet):
        add_adapters(unet)
        scramble(unet)
    assert torch.equal(generate(video, num_frames=2), before[0])
    assert torch.equal(generate(image), before[1])
