"""The spatial half of a video UNet is an image UNet with the same weights."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from tasks.common.errors import UserError
from tasks.video.spatial_unet import is_temporal, spatial_unet
from tests.video.unets_for_tests import WIDTHS, noise, small_unet, without_motion

KINDS = tuple(WIDTHS)


@pytest.mark.parametrize("kind", KINDS)
def test_all_weights_are_shared(kind: str) -> None:
    video = small_unet(kind)
    image = spatial_unet(video)
    assert isinstance(image, UNet2DConditionModel)
    of_video = dict(video.named_parameters())
    of_image = dict(image.named_parameters())
    assert of_image.keys() == {name for name in of_video if not is_temporal(name)}
    assert all(weight is of_video[name] for name, weight in of_image.items())
    assert any(is_temporal(name) for name in of_video)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_without_motion_the_video_is_its_frames(kind: str) -> None:
    video = small_unet(kind)
    image = spatial_unet(video)
    latents_BCFhw, states_BTW = noise(video, videos=2, frames=3)
    moving = video(latents_BCFhw, 500, encoder_hidden_states=states_BTW).sample
    still = without_motion(video)(latents_BCFhw, 500, encoder_hidden_states=states_BTW).sample
    frames = [image(latents_BCFhw[:, :, i], 500, encoder_hidden_states=states_BTW).sample for i in range(3)]
    assert torch.allclose(still, torch.stack(frames, dim=2), atol=1e-5)
    assert not torch.allclose(moving, still, atol=1e-3)


def test_training_one_trains_the_other() -> None:
    video = small_unet("sprite").train()
    image = spatial_unet(video)
    assert image.training
    latents_BCFhw, states_BTW = noise(video)
    image(latents_BCFhw[:, :, 0], 10, encoder_hidden_states=states_BTW).sample.square().mean().backward()
    before = video.conv_in.weight.detach().clone()
    torch.optim.SGD(image.parameters(), lr=1.0).step()
    assert not torch.equal(video.conv_in.weight, before)
    assert torch.equal(video.conv_in.weight, image.conv_in.weight)


def test_foreign_blocks_are_refused() -> None:
    unet = small_unet("sprite")
    unet.register_to_config(down_block_types=("DownBlockSpatioTemporal", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"))
    with pytest.raises(UserError, match="DownBlockSpatioTemporal"):
        spatial_unet(unet)


@pytest.mark.parametrize(
    ("parent", "name", "instead"),
    [
        ("down_blocks.1.attentions.0", "norm", nn.Identity()),
        ("", "conv_in", nn.Conv2d(4, 16, 3, padding=1, bias=False)),
        ("mid_block", "attentions", None),
    ],
)
def test_a_spatial_half_that_lacks_a_weight_is_refused(parent: str, name: str, instead: nn.Module | None) -> None:
    unet = small_unet("sprite")
    module = unet.get_submodule(parent)
    if instead is None:
        delattr(module, name)
    else:
        setattr(module, name, instead)
    with pytest.raises(UserError, match=rf"the video model has no {parent}.*{name}") as caught:
        spatial_unet(unet)
    assert "\n" not in str(caught.value)


def test_temporal_names() -> None:
    for name in ("transformer_in.norm.weight", "down_blocks.0.temp_convs.0.conv1.0.bias", "mid_block.temp_attentions.0"):
        assert is_temporal(name)
    for name in ("conv_in.weight", "up_blocks.1.attentions.0.proj_in.weight", "down_blocks.0.resnets.0.temp_convs_like"):
        assert not is_temporal(name)
