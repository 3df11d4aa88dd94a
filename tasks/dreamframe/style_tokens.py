"""Textual inversion: added tokens whose embeddings alone are trained, in both text encoders of Stable Diffusion XL.

A style has one name, such as `<dramatic>`. With n vectors it stands for the tokens `<dramatic>`, `<dramatic>_1`, ..., as in
diffusers. Their rows are a small parameter beside each embedding table, which stays as it is and gets no gradient.

Legend: B prompts, T text tokens, n vectors, W and V widths of the two encoders, R rows of a table, P width of the pooled
embedding.
"""

from __future__ import annotations

import copy
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.common.seeds import item_seed
from tasks.dreamframe.style_files import MOST_VECTORS, StyleEmbedding

_MOST_CHARACTERS = 40
_ALLOWED = set(string.ascii_lowercase + string.digits + string.punctuation)


class TextPart(NamedTuple):
    """A tokenizer and its encoder: CLIPTokenizer, and CLIPTextModel or CLIPTextModelWithProjection."""

    tokenizer: Any
    encoder: Any


class SplicedTable(nn.Embedding):
    """An embedding table, the same weights as before, with rows of its own for the ids from `first` on."""

    def __init__(self, table: nn.Embedding, rows_nW: Tensor, first: int) -> None:
        """Copies `rows_nW` to a parameter in float32 on the table's device."""
        super().__init__(table.num_embeddings, table.embedding_dim, table.padding_idx, _weight=table.weight)
        self.weight = table.weight
        self.first = first
        self.rows_nW = nn.Parameter(rows_nW.detach().to(table.weight.device, torch.float32, copy=True))

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [..., W] of ids [...], in the table's precision."""
        known = super().forward(ids.clamp(max=self.first - 1))
        learned = nn.functional.embedding((ids - self.first).clamp(min=0), self.rows_nW).to(known.dtype)
        return torch.where((ids >= self.first)[..., None], learned, known)


def token_names(token: str, vectors: int) -> list[str]:
    """The n tokens that a style's name stands for."""
    return [token, *(f"{token}_{number}" for number in range(1, vectors))]


def check_token(token: str, vectors: int, parts: Sequence[TextPart]) -> None:
    """Refuses a name that cannot become a token.

    Raises:
        UserError: it holds other characters than small letters, digits and punctuation, is too long, or is a token already.
    """
    shown = printable(token, 2 * _MOST_CHARACTERS)
    if not 1 <= len(token) <= _MOST_CHARACTERS or not set(token) <= _ALLOWED:
        raise UserError(
            f"style token {shown!r}: use up to {_MOST_CHARACTERS} small letters, digits and signs, such as <dramatic>"
        )
    if not 1 <= vectors <= MOST_VECTORS:
        raise UserError(f"style token {shown}: {vectors} vectors; choose 1 to {MOST_VECTORS}")
    for tokenizer, _ in parts:
        known = tokenizer.get_vocab()
        for name in [*token_names(token, vectors), f"{token}_{vectors}"]:
            if name in known or f"{name}</w>" in known:
                raise UserError(
                    f"style token {shown}: {printable(name)} is in the tokenizer's vocabulary; choose a new word, such as "
                    f"<{printable(token.strip('<>'))}-style>"
                )


def pool_at_end(part: TextPart) -> None:
    """Makes an encoder pool at the end of the text in prompts with added tokens too; other prompts stay as they are.

    The published configurations say that the end token is 2. The encoder then takes the highest id of a prompt for its end,
    and added tokens have higher ids than the end.
    """
    getattr(part.encoder, "text_model", part.encoder).eos_token_id = part.tokenizer.eos_token_id
    part.encoder.config.eos_token_id = part.tokenizer.eos_token_id


def random_start(parts: Sequence[TextPart], vectors: int, seed: int, spread: float = 0.01) -> StyleEmbedding:
    """Normal random vectors of standard deviation `spread`, as the original starts with."""
    rows = []
    for index, part in enumerate(parts):
        generator = torch.Generator().manual_seed(item_seed(seed, f"style start:{index}"))
        rows.append(spread * torch.randn(vectors, part.encoder.get_input_embeddings().embedding_dim, generator=generator))
    return StyleEmbedding(*rows)


def phrase_start(parts: Sequence[TextPart], phrase: str, vectors: int) -> StyleEmbedding:
    """The embeddings of a phrase: one by one if it has as many pieces as there are vectors, else their mean for all.

    Raises:
        UserError: the phrase is empty.
    """
    rows = []
    for tokenizer, encoder in parts:
        ids = tokenizer(phrase, add_special_tokens=False).input_ids
        if not ids:
            raise UserError(f"initial phrase {printable(phrase)!r} of the style: nothing in it; give a few words")
        table_RW = encoder.get_input_embeddings().weight.detach()
        found = table_RW[torch.tensor(ids, device=table_RW.device)].float().cpu()
        rows.append(found if len(ids) == vectors else found.mean(0, keepdim=True).repeat(vectors, 1))
    return StyleEmbedding(*rows)


def _extended(part: TextPart, names: Sequence[str]) -> Any:
    """A copy of the tokenizer that knows the names, with ids behind all others."""
    if isinstance(part.encoder.get_input_embeddings(), SplicedTable):
        raise UserError("these text encoders hold a style already; merge or remove it first")
    first, rows = len(part.tokenizer), part.encoder.get_input_embeddings().num_embeddings
    if first > rows:
        raise UserError(f"tokenizer of {first} tokens, but its text encoder knows {rows}; they belong to different models")
    tokenizer = copy.deepcopy(part.tokenizer)
    tokenizer.add_tokens(list(names))
    if tokenizer.convert_tokens_to_ids(list(names)) != list(range(first, first + len(names))):
        raise UserError("the tokenizer's ids have gaps; get the model again")
    return tokenizer


class StyleTokens:
    """A style in the text encoders of a model, from its making until `remove` or `merge`.

    The encoders are frozen, in evaluation mode, and should be on their device and in their precision beforehand; the
    tokenizers given stay as they are until `merge`.
    """

    def __init__(self, token: str, parts: Sequence[TextPart], start: StyleEmbedding) -> None:
        """Puts the vectors of `start` under the name `token` into the two encoders.

        Raises:
            UserError: the token cannot be one, or the vectors are for another model; nothing is changed then.
        """
        check_token(token, start.vectors, parts)
        widths = tuple(part.encoder.get_input_embeddings().embedding_dim for part in parts)
        if start.widths != widths:
            raise UserError(f"style vectors of widths {start.widths}, text encoders of {widths}; give one for this model")
        self.token, self.names = token, token_names(token, start.vectors)
        self._parts = tuple(parts)
        self._tokenizers = [_extended(part, self.names) for part in parts]
        self._tables = [part.encoder.get_input_embeddings() for part in parts]
        self._spliced = []
        for part, table, rows_nW in zip(parts, self._tables, start, strict=True):
            pool_at_end(part)
            part.encoder.requires_grad_(False).eval()
            self._spliced.append(SplicedTable(table, rows_nW, len(part.tokenizer)))
            part.encoder.set_input_embeddings(self._spliced[-1])

    @property
    def rows(self) -> dict[str, nn.Parameter]:
        """What is trained: `clip_l` [n, W] and `clip_g` [n, V], float32."""
        return {name: table.rows_nW for name, table in zip(StyleEmbedding._fields, self._spliced, strict=True)}

    def embedding(self) -> StyleEmbedding:
        """A copy of the vectors as they are now, on the CPU."""
        return StyleEmbedding(*(rows_nW.detach().cpu().clone() for rows_nW in self.rows.values()))

    def expand(self, prompt: str) -> str:
        """The prompt with all n tokens where the style is named."""
        return prompt.replace(self.token, " ".join(self.names))

    def tokenise(self, prompts: Sequence[str]) -> list[Tensor]:
        """Ids [B, T] for each encoder; longer texts are cut as diffusers cuts them.

        Raises:
            UserError: a prompt is so long that the style would be cut.
        """
        expanded, ids = [self.expand(prompt) for prompt in prompts], []
        for tokenizer, table in zip(self._tokenizers, self._spliced, strict=True):
            most = tokenizer.model_max_length
            for prompt, whole in zip(prompts, tokenizer(expanded, verbose=False).input_ids, strict=True):
                if len(whole) > most and max(whole[most - 1 :]) >= table.first:
                    raise UserError(
                        f"prompt {printable(prompt, 60)!r}: over {most} tokens before the style ends; shorten it or train "
                        "fewer vectors"
                    )
            settings = {"padding": "max_length", "truncation": True, "max_length": most, "return_tensors": "pt"}
            ids.append(tokenizer(expanded, **settings).input_ids)
        return ids

    def encode_ids(self, ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(states [B, T, W + V], pooled [B, P]) for ids [B, T] of each encoder: what the UNet is conditioned on."""
        outputs = [
            part.encoder(ids_BT.to(part.encoder.device), output_hidden_states=True)
            for part, ids_BT in zip(self._parts, ids, strict=True)
        ]
        pooled_BP: Tensor = outputs[1].text_embeds
        return torch.cat([output.hidden_states[-2].to(pooled_BP.dtype) for output in outputs], dim=-1), pooled_BP

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(states [B, T, W + V], pooled [B, P]) of prompts, as diffusers' pipeline makes them.

        Raises:
            UserError: a prompt is so long that the style would be cut.
        """
        return self.encode_ids(self.tokenise(prompts))

    def remove(self) -> None:
        """Gives the encoders their own tables back."""
        for part, table in zip(self._parts, self._tables, strict=True):
            part.encoder.set_input_embeddings(table)

    @torch.no_grad()
    def merge(self) -> None:
        """Makes the vectors real rows of the tables, and adds the tokens to the tokenizers given.

        Any pipeline made of these encoders and tokenizers then knows the style, also after `save_pretrained`.
        """
        self.remove()
        for (tokenizer, encoder), rows_nW in zip(self._parts, self.embedding(), strict=True):
            tokenizer.add_tokens(self.names)
            most = max(len(tokenizer), encoder.get_input_embeddings().num_embeddings)
            table = encoder.resize_token_embeddings(most, mean_resizing=False)
            table.weight[tokenizer.convert_tokens_to_ids(self.names)] = rows_nW.to(table.weight)
