"""Recording the cross-attention of a UNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tasks.common.errors import UserError
from tasks.video.attention_maps import LVD_LAYERS, AttentionRecorder

TINY: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (8, 8, 8, 8),
    "norm_num_groups": 4,
    "attention_head_dim": 4,
    "cross_attention_dim": 12,
}
FRAMES, TOKENS = 3, 7


def unet_3d() -> nn.Module:
    torch.manual_seed(0)
    return UNet3DConditionModel(**TINY).eval().requires_grad_(False)


def unet_2d() -> nn.Module:
    """Here `attention_head_dim` is the number of heads."""
    torch.manual_seed(0)
    return UNet2DConditionModel(**{**TINY, "attention_head_dim": 2}).eval().requires_grad_(False)


def inputs_3d() -> dict[str, Any]:
    random = torch.Generator().manual_seed(1)
    sample = torch.randn(2, 4, FRAMES, 8, 8, generator=random, requires_grad=True)
    return {"sample": sample, "timestep": 5, "encoder_hidden_states": torch.randn(2, TOKENS, 12, generator=random)}


def inputs_2d() -> dict[str, Any]:
    inputs = inputs_3d()
    return {**inputs, "sample": inputs["sample"][:, :, 0].detach().requires_grad_()}


def energy_gradient(maps: dict[str, Tensor], sample: Tensor) -> Tensor:
    energy = torch.stack([found[..., 2].square().sum() for found in maps.values()]).sum()
    return torch.autograd.grad(energy, sample)[0]


def forward_calls(unet: nn.Module) -> dict[str, int]:
    calls: dict[str, int] = {}

    def count(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            calls[name] = calls.get(name, 0) + 1

        return hook

    for name, module in unet.named_modules():
        module.register_forward_hook(count(name))
    return calls


@pytest.mark.parametrize(("make", "inputs", "count"), [(unet_3d, inputs_3d, 2 * FRAMES), (unet_2d, inputs_2d, 2)])
def test_recording_changes_nothing(make: Callable[[], nn.Module], inputs: Callable[[], Any], count: int) -> None:
    unet, given = make(), inputs()
    expected = unet(**given).sample
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        output, maps = recorder.run(**given)
    torch.testing.assert_close(output.sample, expected, rtol=0, atol=0)
    assert list(maps) == list(LVD_LAYERS)
    cells = {"down_blocks.1": 16, "up_blocks.2": 16, "down_blocks.2": 4, "up_blocks.1": 4}
    for name, found in maps.items():
        assert found.shape == (count, 2, cells[name.split(".attentions")[0]], TOKENS)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]))


def test_maps_are_the_probabilities_by_which_a_layer_mixes_the_prompt() -> None:
    unet, given = unet_3d(), inputs_3d()
    layer = unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2
    outputs: list[Tensor] = []
    layer.register_forward_hook(lambda _layer, _args, output: outputs.append(output))
    with AttentionRecorder(unet, LVD_LAYERS[:1]) as recorder:
        _, maps = recorder.run(**given)
    prompt = given["encoder_hidden_states"].repeat_interleave(FRAMES, 0)
    values = layer.to_v(prompt).unflatten(-1, (2, 4)).transpose(1, 2)
    mixed = (maps[LVD_LAYERS[0]] @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer.to_out[0](mixed), outputs[0])


@pytest.mark.parametrize(("make", "inputs"), [(unet_3d, inputs_3d), (unet_2d, inputs_2d)])
def test_record_stops_after_the_last_layer(make: Callable[[], nn.Module], inputs: Callable[[], Any]) -> None:
    unet, given = make(), inputs()
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        _, expected = recorder.run(**given)
        calls = forward_calls(unet)
        maps = recorder.record(**given)
        counted = dict(calls)
        unet(**given)
    assert list(maps) == list(expected)
    assert all(torch.equal(maps[name], expected[name]) for name in maps)
    assert counted["up_blocks.2.attentions.1"] == 1
    assert counted["down_blocks.1.attentions.0.transformer_blocks.0.attn2"] == 1
    skipped = [name for name in calls if name not in counted]
    assert {"up_blocks.2.attentions.2.transformer_blocks.0.attn2", "up_blocks.3", "conv_out"} <= set(skipped)


def test_the_order_of_names_is_kept_and_does_not_decide_where_to_stop() -> None:
    names = ["up_blocks.1.attentions.0.transformer_blocks.0.attn2", "down_blocks.1.attentions.0"]
    with AttentionRecorder(unet_3d(), names) as recorder:
        assert list(recorder.record(**inputs_3d())) == names


def test_gradients_reach_the_latents() -> None:
    given = inputs_3d()
    unet = unet_3d()
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        stopped = energy_gradient(recorder.record(**given), given["sample"])
        whole = energy_gradient(recorder.run(**given)[1], given["sample"])
    assert stopped.isfinite().all()
    assert (stopped != 0).all()
    torch.testing.assert_close(stopped, whole)


def test_gradients_are_the_same_with_checkpointing() -> None:
    unet, given = unet_3d(), inputs_3d()
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        expected = energy_gradient(recorder.record(**given), given["sample"])
    for module in unet.modules():
        if hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = True
            module._gradient_checkpointing_func = lambda part, *args: checkpoint(part, *args, use_reentrant=False)
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        maps = recorder.record(**given)
        calls = forward_calls(unet)
        found = energy_gradient(maps, given["sample"])
    assert calls["down_blocks.1.attentions.0.transformer_blocks.0.attn1"] == 1  # run again for the gradient
    torch.testing.assert_close(found, expected)


def test_without_gradients_there_is_no_graph() -> None:
    with torch.no_grad(), AttentionRecorder(unet_3d(), LVD_LAYERS) as recorder:
        maps = recorder.record(**inputs_3d())
    assert not any(found.requires_grad for found in maps.values())


def test_half_precision_models_give_full_precision_maps() -> None:
    unet = unet_3d().to(torch.bfloat16)
    given = {name: value.bfloat16() if isinstance(value, Tensor) else value for name, value in inputs_3d().items()}
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        maps = recorder.record(**given)
    for found in maps.values():
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]), rtol=1e-6, atol=1e-6)


def test_masked_tokens_get_no_attention() -> None:
    unet, given = unet_2d(), inputs_2d()
    mask = torch.ones(2, TOKENS)
    mask[1, 4:] = 0
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        maps = recorder.record(**given, encoder_attention_mask=mask)
    for found in maps.values():
        assert (found[1, ..., 4:] == 0).all()
        assert (found[0] > 0).all()


def test_afterwards_the_unet_is_as_it_was_even_after_an_error() -> None:
    unet = unet_3d()
    before = dict(unet.attn_processors)
    with pytest.raises(RuntimeError, match=r"size|shape"), AttentionRecorder(unet, LVD_LAYERS) as recorder:
        recorder.record(**{**inputs_3d(), "encoder_hidden_states": torch.zeros(2, TOKENS, 5)})
    assert all(unet.attn_processors[name] is processor for name, processor in before.items())
    assert not any(module._forward_pre_hooks for module in unet.modules())
    with pytest.raises(RuntimeError, match="within"):
        recorder.record(**inputs_3d())


def test_a_failed_pass_leaves_nothing_behind() -> None:
    unet, given = unet_3d(), inputs_3d()
    with AttentionRecorder(unet, LVD_LAYERS) as recorder:
        with pytest.raises(RuntimeError):
            recorder.record(**{**given, "encoder_hidden_states": torch.zeros(2, TOKENS, 5)})
        assert unet(**given).sample.shape == given["sample"].shape
        assert len(recorder.record(**given)) == len(LVD_LAYERS)


@pytest.mark.parametrize(
    "name",
    [
        "down_blocks.1.attentions.9",
        "down_blocks.1.temp_attentions.0",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1",
    ],
)
def test_layers_that_read_no_prompt_are_refused(name: str) -> None:
    with pytest.raises(UserError) as caught:
        AttentionRecorder(unet_3d(), [LVD_LAYERS[0], name])
    assert name in str(caught.value)
    assert LVD_LAYERS[0] in str(caught.value)


def test_no_layers_are_refused() -> None:
    with pytest.raises(UserError, match="none given"):
        AttentionRecorder(unet_3d(), [])
