"""Stage `train_text_encoder`: the sprite world's CLIP-style tokenizer and text encoder.

Real text encoders know their language before a video model ever sees them. This one learns from made-up captions to tell,
from its token states alone, what things a caption names, how many, in which colour, where, and how they move.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section

if TYPE_CHECKING:
    import numpy as np
    import torch

_STEPS_BETWEEN_LINES = 200
_START, _END = "<|startoftext|>", "<|endoftext|>"


class Parameters(Section):
    """Vocabulary, size and optimisation of the text encoder."""

    texts: int = Field(ge=1000, description="made-up captions that the vocabulary is learnt from")
    vocabulary: int = Field(ge=520, le=50000, description="tokens, the two special ones included")
    most_tokens: int = Field(ge=16, le=77, description="length of a tokenised prompt")
    width: int = Field(ge=16, le=1024, description="channels of a token state")
    layers: int = Field(ge=1, le=24, description="transformer layers")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=4096, description="captions per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")
    held_out: int = Field(ge=10, description="captions to score on")


@dataclass(frozen=True)
class Paths:
    """Pipeline folder (tokenizer and text_encoder inside) and scores out."""

    out: Path
    metrics: Path


def build_tokenizer(texts: list[str], vocabulary: int, most_tokens: int) -> Any:
    """A CLIPTokenizer whose byte-pair merges are learnt from `texts`; bytes catch every other word."""
    from tokenizers import pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = {token: index for index, token in enumerate([*alphabet, *(f"{letter}</w>" for letter in alphabet), _START, _END])}
    learner = CLIPTokenizer(vocab=bare, merges=[]).backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges)]
    tokens = [*list(dict.fromkeys(tokens))[: vocabulary - 2], _START, _END]
    known = {token: index for index, token in enumerate(tokens)}
    kept = [pair for pair in merges if "".join(pair) in known]
    return CLIPTokenizer(vocab=known, merges=kept, model_max_length=most_tokens)


def build_text_encoder(tokenizer: Any, width: int, layers: int) -> Any:
    """A CLIPTextModel for the tokenizer; weights from torch's current random state."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
            num_attention_heads=max(1, width // 24), max_position_embeddings=tokenizer.model_max_length,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            projection_dim=width,
        )
    )  # fmt: skip


def _build_reader(width: int) -> Any:
    """Reads what a text says from its token states: one query per group of things, and one for the whole text."""
    import torch
    from torch import nn

    from tasks.spriteworld.text_samples import ATTRIBUTES, MOST_GROUPS

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries = nn.Parameter(torch.randn(MOST_GROUPS, width) * 0.1)
            self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
            self.slots = nn.ModuleList(nn.Linear(width, len(words)) for words in ATTRIBUTES.values())
            self.pooled = nn.ModuleList(nn.Linear(width, len(words)) for words in ATTRIBUTES.values())

        def forward(
            self, states_BTW: torch.Tensor, pooled_BW: torch.Tensor
        ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
            queries_BGW = self.queries.expand(len(states_BTW), -1, -1)
            read_BGW, _ = self.attention(queries_BGW, states_BTW, states_BTW, need_weights=False)
            return [head(read_BGW) for head in self.slots], [head(pooled_BW) for head in self.pooled]

    return Reader()


def _batch(random: np.random.Generator, tokenizer: Any, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [B, T] and labels [B, G, A]; groups that are not there count as "not told" in every attribute."""
    import torch

    from tasks.spriteworld.text_samples import ATTRIBUTES, MOST_GROUPS, sample_text

    samples = [sample_text(random) for _ in range(count)]
    tokens = tokenizer(
        [sample.text for sample in samples], padding="max_length", truncation=True, max_length=tokenizer.model_max_length,
        return_tensors="pt",
    )  # fmt: skip
    labels_BGA = torch.zeros(count, MOST_GROUPS, len(ATTRIBUTES), dtype=torch.long)
    for index, sample in enumerate(samples):
        labels_BGA[index, : len(sample.groups)] = torch.tensor(sample.groups)
    return tokens["input_ids"], labels_BGA


def _loss(reader: Any, outputs: Any, labels_BGA: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of all groups from the token states and of the first group from the pooled state; shares read right."""
    import torch
    from torch.nn.functional import cross_entropy

    slots, pooled = reader(outputs.last_hidden_state, outputs.pooler_output)
    loss = torch.zeros(())
    right_BG = torch.ones(labels_BGA.shape[:2], dtype=torch.bool)
    for attribute, (slot_BGK, pooled_BK) in enumerate(zip(slots, pooled, strict=True)):
        target_BG = labels_BGA[..., attribute]
        loss = (
            loss
            + cross_entropy(slot_BGK.flatten(0, 1), target_BG.flatten())
            + 0.5 * cross_entropy(pooled_BK, target_BG[:, 0])
        )
        right_BG &= slot_BGK.argmax(-1) == target_BG
    return loss, right_BG.float().mean()


def _train(parameters: Parameters, seed: int) -> tuple[Any, Any, float]:
    import numpy as np
    import torch

    from tasks.spriteworld.text_samples import sample_text

    torch.manual_seed(seed)
    random = np.random.default_rng(seed + 11)
    texts = [sample_text(random).text for _ in range(parameters.texts)]
    tokenizer = build_tokenizer(texts, parameters.vocabulary, parameters.most_tokens)
    model, reader = build_text_encoder(tokenizer, parameters.width, parameters.layers), _build_reader(parameters.width)
    optimiser = torch.optim.AdamW(
        [*model.parameters(), *reader.parameters()], lr=parameters.learning_rate, weight_decay=1e-2, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 100) * (1 - 0.98 * step / parameters.steps)
    )
    total = 0.0
    for step in range(1, parameters.steps + 1):
        ids_BT, labels_BGA = _batch(random, tokenizer, parameters.batch)
        loss, right = _loss(reader, model(ids_BT), labels_BGA)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += float(right)
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: {total / _STEPS_BETWEEN_LINES:.3f} of the groups read right\n")
            total = 0.0
    held_out = np.random.default_rng(seed + 12)
    with torch.inference_mode():
        ids_BT, labels_BGA = _batch(held_out, tokenizer, parameters.held_out)
        share = float(_loss(reader, model.eval()(ids_BT), labels_BGA)[1])
    return tokenizer, model, share


def train_text_encoder(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, and scores on captions that were not trained on."""
    import torch

    from tasks.spriteworld.checkpoints import save_half, write_model_card

    torch.set_num_threads(1)
    parameters: Parameters = project.train_text_encoder
    tokenizer, model, share = _train(parameters, project.seed)
    with complete(paths.out, folder=True) as folder:
        tokenizer.save_pretrained(folder / "tokenizer")
        save_half(model, folder / "text_encoder")
        write_model_card(
            folder,
            "transformers",
            "Sprite-world text encoder",
            "Tokenizer and text encoder (CLIPTextModel) for captions about sprites.",
            parameters,
            project.seed,
            {
                "held_out_groups_read": stage.rounded(share),
                "parameters": model.num_parameters(),
                "cpu_seconds": round(time.process_time()),
            },
        )
    return {"held_out_groups_read": share}


if __name__ == "__main__":
    sys.exit(stage.main("train_text_encoder", Paths, train_text_encoder, "tasks.spriteworld.checkpoint_parameters"))
