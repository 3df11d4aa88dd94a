"""The tiny detector's shape: transformers' GroundingDINO with a word-level BERT tokenizer, random weights."""

from __future__ import annotations

import string

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    SwinConfig,
)

from tasks.spriteworld.scene import CANVAS_PIXELS
from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS, NUMBERS, noun

MOST_TOKENS = 256
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""GroundingDINO's own code knows these ids, so they stay where bert-base-uncased has them."""
_OTHER_WORDS = """
a an and at background first flying from half image in initially into is it its left lively lower moves moving of on only
photo realistic right scene second shows stays still that the then to top down upper video viewed walking which with appears
appearing disappears disappearing center bottom
"""


def build_vocabulary() -> dict[str, int]:
    """Token to id: whole words of the sprite world, then single characters so that no text is unknown."""
    words = _OTHER_WORDS.split() + list(BACKGROUNDS) + list(NUMBERS) + list(COLOURS)
    words += [noun(name, count) for name in CLASSES for count in (1, 2)]
    words += [character for character in string.ascii_lowercase + string.digits + ",'-" if character not in words]
    words += ["##" + character for character in string.ascii_lowercase + string.digits]
    vocabulary = dict(_SPECIAL)
    free = (number for number in range(_SPECIAL["?"] + 1) if number not in set(_SPECIAL.values()))
    vocabulary |= {word: next(free) for word in dict.fromkeys(words)}
    vocabulary |= {f"[unused{number}]": number for number in free}
    return dict(sorted(vocabulary.items(), key=lambda item: item[1]))


def build_processor() -> GroundingDinoProcessor:
    """Tokenizer and image processor; images come as square crops, so nothing is resized or padded."""
    tokenizer = BertTokenizer(vocab=build_vocabulary(), model_max_length=MOST_TOKENS)
    image_processor = GroundingDinoImageProcessorPil(
        do_resize=False, do_pad=False, size={"shortest_edge": CANVAS_PIXELS, "longest_edge": CANVAS_PIXELS}
    )
    return GroundingDinoProcessor(image_processor=image_processor, tokenizer=tokenizer)


def build_detector(queries: int) -> GroundingDinoForObjectDetection:
    """About one million parameters; weights from torch's current random state."""
    backbone = SwinConfig(
        image_size=CANVAS_PIXELS, patch_size=4, embed_dim=32, depths=[1, 2, 2], num_heads=[2, 4, 8], window_size=4,
        out_indices=[2, 3], drop_path_rate=0.0,
    )  # fmt: skip
    text = BertConfig(
        vocab_size=len(build_vocabulary()), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=MOST_TOKENS, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=64, num_queries=queries, num_feature_levels=3,
        encoder_layers=2, encoder_ffn_dim=128, encoder_attention_heads=4, encoder_n_points=4,
        decoder_layers=3, decoder_ffn_dim=128, decoder_attention_heads=4, decoder_n_points=4,
        max_text_len=MOST_TOKENS, dropout=0.0, fusion_droppath=0.0, auxiliary_loss=True, disable_custom_kernels=True,
    )  # fmt: skip
    return GroundingDinoForObjectDetection(config)


def widen_queries(model: GroundingDinoForObjectDetection, queries: int) -> None:
    """Gives the model more object queries, in place: the old ones stay, new ones are random and as large.

    With few queries training is quick, but the encoder's best proposals crowd on large sprites and small ones get none.
    """
    known = model.model.query_position_embeddings.weight.data
    if queries <= len(known):
        return
    added = torch.randn(queries - len(known), known.shape[1]) * known.std()
    wider = torch.nn.Embedding(queries, known.shape[1], _weight=torch.cat([known, added]))
    model.model.query_position_embeddings = wider
    model.config.num_queries = queries
