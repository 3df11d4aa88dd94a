"""Parameters of the stage `igligen`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.common.parameters import Section


class Parameters(Section):
    """Base model, data mix, optimisation and evaluation of grounding adapters (LVD specification, sections 6.2 and 6.3)."""

    model: str = Field(min_length=1, description="text-to-video or text-to-image pipeline: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    adapters: str | None = Field(
        description="adapters to go on from: a file, a folder or a hub id; null starts with new ones"
    )
    adapters_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    steps: int = Field(ge=1, le=10_000_000, description="optimiser steps")
    batch: int = Field(ge=1, le=4096, description="images at once, per process")
    accumulate: int = Field(ge=1, le=1024, description="batches per step and process, to train as with a larger one")
    learning_rate: float = Field(gt=0, le=1, description="highest learning rate of AdamW")
    warmup_steps: int = Field(ge=0, description="steps in which the learning rate rises from 0")
    schedule: Literal["constant", "linear"] = Field(description="after the warm-up: stay, or fall to 0 at the last step")
    weight_decay: float = Field(ge=0, lt=1, description="decoupled weight decay of AdamW")
    clip: float = Field(ge=0, description="largest norm of the gradient; 0 leaves it as it is")
    mixed_precision: Literal["no", "fp16", "bf16"] = Field(description="precision of activations; weights stay in float32")
    ema_decay: float = Field(ge=0, lt=1, description="moving average of the weights that is kept instead of them; 0 is off")
    score_threshold: float = Field(ge=0, lt=1, description="boxes that score above it are used")
    most_boxes: int = Field(
        ge=1, le=256, description="grounding slots per image; further boxes are left out, lowest score first"
    )
    prob_use_boxes: float = Field(ge=0, le=1, description="share of samples that show their boxes")
    prob_use_caption: float = Field(ge=0, le=1, description="share of samples that show their caption")
    no_caption_only: bool = Field(description="whether a sample without boxes has no caption either")
    timestep_bias: float = Field(
        ge=0.1, le=10, description="timesteps are T(1-u^b), u uniform; 1 is uniform, above favours noise"
    )
    min_snr_gamma: float = Field(ge=0, description="cap of the signal-to-noise ratio that weighs the loss; 0 is plain MSE")
    box_loss_weight: float = Field(ge=1, le=100, description="how much errors inside boxes count beside those elsewhere")
    attention_loss_weight: float = Field(
        ge=0, le=100, description="how much the fusers' attention is told where its boxes are; 0 is as published"
    )
    most_nonfinite_steps: int = Field(ge=1, le=1000, description="steps in a row with NaN or infinity that end the training")
    log_every: int = Field(ge=1, description="steps per point of the curves")
    checkpoint_every: int = Field(ge=1, description="steps that a kill costs at most; results do not depend on it")
    shards_in_memory: int = Field(ge=1, description="shards open at once; images are shuffled among them")
    workers: int = Field(ge=0, le=256, description="loading processes, 0 for none; results do not depend on it")
    cpu_threads: int = Field(ge=1, le=256, description="threads of torch on a CPU, where the last bits depend on it")
    evaluate_every: int = Field(ge=1, description="steps between measurements of box following")
    evaluation_images: int = Field(ge=1, le=10_000, description="images held out, whose boxes are asked for")
    evaluation_steps: int = Field(ge=1, le=1000, description="denoising steps per generated image")
    evaluation_guidance_scale: float = Field(ge=1, le=100, description="classifier-free guidance; 1 is none")
    detector: str = Field(
        min_length=1, description="GroundingDINO checkpoint that looks for the boxes: a folder or a hub id"
    )
    detector_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    detector_resolution: int = Field(ge=32, le=2048, multiple_of=8, description="side in pixels of what the detector sees")
    box_threshold: float = Field(gt=0, lt=1, description="least score of a detected box")
    text_threshold: float = Field(gt=0, lt=1, description="least probability of a token in a detected box's phrase")
    preview_images: int = Field(ge=0, le=200, description="layouts on the contact sheet")
