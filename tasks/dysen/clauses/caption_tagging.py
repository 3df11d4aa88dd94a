"""The words of captions as `tasks.captions.caption_tokens` has them, twice as fast: for stages with many captions.

What spaCy derives from a word's tag (its class and its base form) does not depend on the words around it, so each word is
looked up once per tag; and the tagger's products of matrices are NumPy's, which are faster than its own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tasks.captions.caption_tokens import classify, english_pipeline, plain_text
from tasks.captions.caption_words import Word

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

_BATCH = 128
_DERIVED = ["attribute_ruler", "lemmatizer"]


class Token(NamedTuple):
    """What `classify` reads of a token of spaCy's, under the same names."""

    lower_: str
    tag_: str
    pos_: str
    lemma_: str
    is_space: bool


class TaggedCaption(NamedTuple):
    """The words of a caption as `read_words` has them, and the token of each."""

    words: list[Word]
    tokens: list[Token]


def tagged_captions(captions: Iterable[str]) -> Iterator[TaggedCaption]:
    """The words of each caption, in order; any text is a caption.

    Raises:
        UserError: spaCy's English pipeline is not installed.
    """
    pipeline = _tagger()
    orth, tag = (pipeline.vocab.strings[name] for name in ("ORTH", "TAG"))
    for document in pipeline.pipe(map(plain_text, captions), batch_size=_BATCH, disable=_DERIVED):
        tokens = [token for pair in document.to_array([orth, tag]).tolist() if not (token := _token(*pair)).is_space]
        yield TaggedCaption(classify(cast("Doc", tokens)), tokens)


@functools.cache
def _tagger() -> Language:
    """A pipeline of its own, so that the one that others share keeps its arithmetic."""
    pipeline = english_pipeline.__wrapped__()
    from thinc.api import NumpyOps

    for name in ("tok2vec", "tagger"):
        model: Any = pipeline.get_pipe(name)
        for layer in model.model.walk():
            layer.ops = NumpyOps(use_blis=False)
    return pipeline


@functools.lru_cache(maxsize=65_536)
def _token(text: int, tag: int) -> Token:
    """The token for a text and a tag, both by their hashes in the pipeline's vocabulary."""
    from spacy.tokens import Doc

    pipeline = _tagger()
    strings = pipeline.vocab.strings
    document = Doc(pipeline.vocab, words=[strings[text]], tags=[strings[tag]])
    for name in _DERIVED:
        document = pipeline.get_pipe(name)(document)
    token = document[0]
    return Token(token.lower_, token.tag_, token.pos_, token.lemma_, token.is_space)
