"""Where the names of objects are among the tokens of a prompt (specs/lvd.md 1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.captions.english_nouns import IRREGULAR
from tasks.common.errors import UserError
from tasks.common.quarantine import printable

_PLURALS = {singular: plural for plural, singular in IRREGULAR.items()}
_AROUND = "0123456789 "
_SHOWN = 80


class PhraseError(UserError):
    """A prompt cannot be guided, because of one of its phrases.

    Attributes:
        reason: "no-tokens" (the tokenizer makes nothing of the phrase) or "too-long" (the model does not read so far).
    """

    def __init__(self, reason: str, phrase: str, rest: str) -> None:
        super().__init__(f"phrase '{printable(phrase, _SHOWN)}': {rest}")
        self.reason = reason


@dataclass(frozen=True)
class PlacedPhrases:
    """A prompt and where each phrase is in it.

    Attributes:
        prompt: the prompt given, with the phrases that it does not contain at its end, each behind a bar.
        positions: of each phrase, the indices of its tokens, consecutive; 0 is the token that begins every prompt.
    """

    prompt: str
    positions: tuple[tuple[int, ...], ...]


def place_phrases(prompt: str, phrases: Sequence[str], tokenizer: Any) -> PlacedPhrases:
    """Finds each phrase, or what comes nearest to it, at its first place in the prompt; appends it if there is none.

    Tried in turn, as whole words and with the same capitals: the phrase, the phrase without digits around it ("car 1"), its
    last word, and the plural of its last word. Equal phrases share their tokens. The bar stands between spaces, unlike in
    the original, so that an end of sentence before it keeps its own token.

    Args:
        prompt: the text for the video.
        phrases: names of objects.
        tokenizer: a CLIP tokenizer of the `transformers` library.

    Raises:
        PhraseError: a phrase is without tokens, or beyond what the model reads.
    """
    chosen = []
    for phrase in phrases:
        found = next((text for text in _candidates(phrase) if _contains(prompt, text, tokenizer)), None)
        if found is None:
            found = phrase.strip()
            prompt = f"{prompt} | {found}"
        chosen.append(found)
    tokens = tokenizer.tokenize(prompt)
    return PlacedPhrases(prompt, tuple(_positions(tokens, phrase, tokenizer) for phrase in chosen))


def plural(noun: str) -> str:
    """The plural of an English noun in the singular."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(?:s|x|z|ch|sh)$", noun) else "s")


def _candidates(phrase: str) -> Iterator[str]:
    yield phrase.strip()
    bare = phrase.strip(_AROUND)
    yield bare
    if words := bare.split():
        yield words[-1]
        yield plural(words[-1])


def _contains(prompt: str, text: str, tokenizer: Any) -> bool:
    """Whether the text is there as whole words, and as whole tokens: "s" is a word of "dog's", but no token."""
    if not text or not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", prompt):
        return False
    return _start(tokenizer.tokenize(prompt), tokenizer.tokenize(text)) is not None


def _start(tokens: Sequence[str], wanted: Sequence[str]) -> int | None:
    starts = (start for start in range(len(tokens)) if tokens[start : start + len(wanted)] == wanted)
    return next(starts, None) if wanted else None


def _positions(tokens: Sequence[str], phrase: str, tokenizer: Any) -> tuple[int, ...]:
    wanted = tokenizer.tokenize(phrase)
    start = _start(tokens, wanted)
    if start is None:
        raise PhraseError("no-tokens", phrase, "the tokenizer finds no words in it; name the object in words")
    most = tokenizer.model_max_length - 2  # the model reads one more token at either end
    if start + len(wanted) > most:
        raise PhraseError("too-long", phrase, f"ends at token {start + len(wanted)} of at most {most}; shorten the prompt")
    return tuple(range(start + 1, start + 1 + len(wanted)))
