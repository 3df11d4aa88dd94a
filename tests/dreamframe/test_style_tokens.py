"""Added tokens in both text encoders: the old vocabulary stays as it is, and diffusers agrees on what a prompt means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from transformers.utils import logging as transformers_logging

from tasks.common.errors import UserError
from tasks.dreamframe.style_tokens import StyleTokens, phrase_start, pool_at_end, random_start
from tests.dreamframe.sdxl_for_tests import TOKEN, style_of, text_parts, tiny_sdxl

PROMPTS = ["a <dramatic> painting of a castle", "a dramatic castle, <dramatic>", "no style"]


def _by_diffusers(pipeline: StableDiffusionXLPipeline, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        states, _, pooled, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
    return states, pooled


def _loaded(vectors: int, end: int | None = None) -> StableDiffusionXLPipeline:
    """A pipeline that got the style from diffusers."""
    pipeline = tiny_sdxl(end=end)
    for part, rows in zip(text_parts(pipeline), style_of(vectors), strict=True):
        pipeline.load_textual_inversion({TOKEN: rows}, token=TOKEN, tokenizer=part.tokenizer, text_encoder=part.encoder)
        pool_at_end(part)
    return pipeline


@pytest.mark.parametrize("vectors", [1, 3])
def test_prompts_mean_what_diffusers_makes_of_them(vectors: int) -> None:
    expected = _by_diffusers(_loaded(vectors), PROMPTS)
    with torch.no_grad():
        found = StyleTokens(TOKEN, text_parts(tiny_sdxl()), style_of(vectors)).encode(PROMPTS)
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("vectors", [1, 3])
def test_a_merged_style_is_known_to_any_pipeline(vectors: int) -> None:
    pipeline = tiny_sdxl()
    parts = text_parts(pipeline)
    tables = [part.encoder.get_input_embeddings().weight.clone() for part in parts]
    tokens = StyleTokens(TOKEN, parts, style_of(vectors))
    assert TOKEN not in pipeline.tokenizer.get_vocab(), "the tokenizers given stay as they are until then"
    tokens.merge()
    assert all(map(torch.equal, _by_diffusers(pipeline, PROMPTS), _by_diffusers(_loaded(vectors), PROMPTS)))
    for part, table, rows in zip(parts, tables, style_of(vectors), strict=True):
        merged = part.encoder.get_input_embeddings().weight
        assert torch.equal(merged[: len(table)], table)
        assert torch.equal(merged[len(table) :], rows)
        assert part.encoder.config.vocab_size == len(part.tokenizer) == len(merged)


def test_a_merged_style_is_saved_with_its_pipeline(tmp_path: Path) -> None:
    pipeline = tiny_sdxl(end=2)
    StyleTokens(TOKEN, text_parts(pipeline), style_of(2)).merge()
    pipeline.save_pretrained(tmp_path)
    again = StableDiffusionXLPipeline.from_pretrained(tmp_path, add_watermarker=False)
    assert all(map(torch.equal, _by_diffusers(again, PROMPTS), _by_diffusers(_loaded(2), PROMPTS)))
    image = again(PROMPTS[0], num_inference_steps=1, height=32, width=32, output_type="np").images[0]
    assert image.shape == (32, 32, 3)


def test_a_removed_style_leaves_nothing_behind() -> None:
    pipeline = tiny_sdxl()
    names = [list(part.encoder.state_dict()) for part in text_parts(pipeline)]
    plain = ["a dramatic castle", "no style"]
    before = _by_diffusers(pipeline, plain)
    tokens = StyleTokens(TOKEN, text_parts(pipeline), style_of(2))
    assert all(map(torch.equal, tokens.encode(plain), before)), "prompts without the style are not touched by it"
    tokens.remove()
    assert all(map(torch.equal, _by_diffusers(pipeline, plain), before))
    assert [list(part.encoder.state_dict()) for part in text_parts(pipeline)] == names


def test_published_configurations_pool_at_the_end_of_the_text_too() -> None:
    """They say that the end token is 2; words after the style would not count."""
    right = StyleTokens(TOKEN, text_parts(tiny_sdxl()), style_of(1))
    published = StyleTokens(TOKEN, text_parts(tiny_sdxl(end=2)), style_of(1))
    _, pooled = published.encode([f"{TOKEN} castle", f"{TOKEN} town"])
    assert torch.equal(pooled, right.encode([f"{TOKEN} castle", f"{TOKEN} town"])[1])
    assert not torch.equal(pooled[0], pooled[1])
    assert torch.equal(published.encode(["a town"])[1], _by_diffusers(tiny_sdxl(end=2), ["a town"])[1]), "others as before"


def test_gradients_are_those_of_the_rows_alone() -> None:
    parts = text_parts(tiny_sdxl())
    tokens = StyleTokens(TOKEN, parts, style_of(2))
    states, pooled = tokens.encode(PROMPTS)
    (states.square().sum() + pooled.square().sum()).backward()
    trained = [weight for part in parts for weight in part.encoder.parameters() if weight.requires_grad]
    assert [id(weight) for weight in trained] == [id(rows) for rows in tokens.rows.values()]
    assert [tuple(rows.grad.shape) for rows in tokens.rows.values() if rows.grad is not None] == [(2, 24), (2, 40)]
    assert all(rows.grad.abs().sum(1).min() > 0 for rows in tokens.rows.values() if rows.grad is not None)
    assert all(weight.grad is None for part in parts for weight in part.encoder.parameters() if not weight.requires_grad)


def test_gradients_are_as_if_the_whole_table_were_trained() -> None:
    found = StyleTokens(TOKEN, text_parts(tiny_sdxl()), style_of(2))
    pipeline = tiny_sdxl()
    parts = text_parts(pipeline)
    StyleTokens(TOKEN, parts, style_of(2)).merge()
    tables = [part.encoder.get_input_embeddings().weight.requires_grad_(True) for part in parts]
    states, _, pooled, _ = pipeline.encode_prompt(PROMPTS, do_classifier_free_guidance=False)
    for outputs in (found.encode(PROMPTS), (states, pooled)):
        sum(output.square().sum() for output in outputs).backward()
    for rows, table in zip(found.rows.values(), tables, strict=True):
        torch.testing.assert_close(rows.grad, table.grad[-2:])


def test_rows_stay_in_full_precision_beside_a_table_in_half() -> None:
    pipeline = tiny_sdxl().to(torch.bfloat16)
    tokens = StyleTokens(TOKEN, text_parts(pipeline), style_of(1))
    states, pooled = tokens.encode(PROMPTS)
    assert states.dtype == pooled.dtype == torch.bfloat16
    assert {rows.dtype for rows in tokens.rows.values()} == {torch.float32}
    assert all(map(torch.equal, tokens.embedding(), style_of(1)))


def test_starts() -> None:
    parts = text_parts(tiny_sdxl())
    table = parts[0].encoder.get_input_embeddings().weight
    row = table[parts[0].tokenizer.get_vocab()["dramatic</w>"]]
    assert torch.equal(phrase_start(parts, "Dramatic", 1).clip_l[0], row)
    several = phrase_start(parts, "ab", 2)
    assert several.vectors == 2
    assert not torch.equal(several.clip_l[0], several.clip_l[1]), "as many pieces as vectors: each its own"
    torch.testing.assert_close(phrase_start(parts, "ab", 3).clip_g, several.clip_g.mean(0).expand(3, -1))
    with pytest.raises(UserError, match="nothing in it"):
        phrase_start(parts, " ", 1)
    first, again, other = (random_start(parts, 50, seed) for seed in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.clip_l, other.clip_l)
    assert float(first.clip_g.std()) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize(
    ("token", "vectors", "says"),
    [
        ("dramatic", 1, "dramatic is in the tokenizer's vocabulary; choose a new word, such as <dramatic-style>"),
        ("a", 1, "is in the tokenizer's vocabulary"),
        ("<|endoftext|>", 1, "is in the tokenizer's vocabulary"),
        ("<Dramatic>", 1, "small letters"),
        ("two words", 1, "small letters"),
        ("line\nbreak", 1, "small letters"),
        ("", 1, "small letters"),
        ("x" * 41, 1, "up to 40"),
        ("<new>", 0, "0 vectors; choose 1 to 64"),
        ("<new>", 65, "65 vectors; choose 1 to 64"),
    ],
)
def test_names_that_cannot_be_tokens(token: str, vectors: int, says: str) -> None:
    with pytest.raises(UserError) as refusal:
        StyleTokens(token, text_parts(tiny_sdxl()), style_of(vectors))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_name_that_would_run_into_another_style_is_refused() -> None:
    pipeline = tiny_sdxl()
    pipeline.tokenizer_2.add_tokens(["<new>_2"])
    with pytest.raises(UserError, match="<new>_2 is in the tokenizer's vocabulary"):
        StyleTokens("<new>", text_parts(pipeline), style_of(2))


def test_what_does_not_fit_changes_nothing() -> None:
    parts = text_parts(tiny_sdxl())
    tables = [part.encoder.get_input_embeddings() for part in parts]
    swapped = style_of(1)._replace(clip_l=style_of(1).clip_g)
    with pytest.raises(UserError, match="text encoders of \\(24, 40\\)"):
        StyleTokens(TOKEN, parts, swapped)
    parts[1].tokenizer.add_tokens(["<unknown>"])
    with pytest.raises(UserError, match="they belong to different models"):
        StyleTokens(TOKEN, parts, style_of(1))
    assert [part.encoder.get_input_embeddings() for part in parts] == tables


def test_a_second_style_needs_the_first_to_be_merged() -> None:
    parts = text_parts(tiny_sdxl())
    tokens = StyleTokens(TOKEN, parts, style_of(1))
    with pytest.raises(UserError, match="merge or remove it first"):
        StyleTokens("<other>", parts, style_of(1))
    tokens.merge()
    both = StyleTokens("<other>", parts, style_of(1, seed=1))
    states, _ = both.encode([f"{TOKEN} town", "<other> town"])
    assert not torch.equal(states[0], states[1])


def test_a_prompt_too_long_for_the_style_is_refused() -> None:
    transformers_logging.set_verbosity_error()
    tokens = StyleTokens(TOKEN, text_parts(tiny_sdxl()), style_of(3))
    tokens.encode([f"{TOKEN} " + "x" * 200, "x" * 72 + TOKEN])
    with pytest.raises(UserError, match="over 77 tokens before the style ends") as refusal:
        tokens.encode(["x" * 73 + TOKEN])
    assert "\n" not in str(refusal.value)
