"""A small original GroundingDINO: its configuration file and a BERT folder without weights."""

from __future__ import annotations

from pathlib import Path

CONFIG = """\
batch_size = 1
modelname = "groundingdino"
backbone = "swin_T_224_1k"
position_embedding = "sine"
pe_temperatureH = 20
pe_temperatureW = 20
return_interm_indices = [1, 2, 3]
backbone_freeze_keywords = None
enc_layers = 1
dec_layers = 1
pre_norm = False
dim_feedforward = 64
hidden_dim = 256
dropout = 0.0
nheads = 8
num_queries = 30
query_dim = 4
num_patterns = 0
num_feature_levels = 4
enc_n_points = 4
dec_n_points = 4
two_stage_type = "standard"
two_stage_bbox_embed_share = False
two_stage_class_embed_share = False
transformer_activation = "relu"
dec_pred_bbox_embed_share = True
dn_box_noise_scale = 1.0
dn_label_noise_ratio = 0.5
dn_label_coef = 1.0
dn_bbox_coef = 1.0
embed_init_tgt = True
dn_labelbook_size = 2000
max_text_len = 256
text_encoder_type = "bert-base-uncased"
use_text_enhancer = True
use_fusion_layer = True
use_checkpoint = True
use_transformer_ckpt = True
use_text_cross_attention = True
text_dropout = 0.0
fusion_dropout = 0.0
fusion_droppath = 0.1
sub_sentence_present = True
"""
"""The original's Swin-T configuration, with fewer layers and queries and narrower ones."""

_SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
_WORDS = ["a", "red", "blue", "green", "car", "cat", "dog", "bird", "on", "the", "grass", "and", "two", "with", "small"]


def write_text_encoder(folder: Path, separators: bool = True) -> Path:
    """Tokenizer and config.json of a tiny BERT; full stop and question mark at their usual ids, or elsewhere."""
    from transformers import BertConfig, BertTokenizer

    words = [f"[unused{number}]" for number in range(1100)]
    for number, word in (_SPECIAL | dict(enumerate(_WORDS, 200))).items():
        words[number] = word
    if not separators:
        words[1012], words[1013] = words[1013], words[1012]
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}, model_max_length=512).save_pretrained(folder)
    BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    ).save_pretrained(folder)
    return folder
