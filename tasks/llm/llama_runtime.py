"""A GGUF model in this process: prompts that are kept, likelihoods, and greedy text under a grammar."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.llm.continuation import Continuation

INSTALL = 'pip install -c constraints.txt -e ".[local-llm]"'
_TOKENS = 16384
_SEQUENCES = 256
_GROUP = 32
_BATCH = 2048
_ROWS = 32
"""Tokens that are computed in one go. From 64 on, llama.cpp rounds otherwise, and what is scored would depend on how much of
its prompt was known before."""


def check_runtime() -> None:
    """Checks that the runtime is there, without importing it.

    Raises:
        UserError: it is missing.
    """
    if importlib.util.find_spec("cyllama") is None:
        raise UserError(f"llm.backend local: the package cyllama is missing; `{INSTALL}` installs it")


def _import_runtime() -> Any:
    check_runtime()
    from cyllama.llama import llama_cpp

    llama_cpp.disable_logging()
    return llama_cpp


class LlamaRuntime:
    """One model and its memory. Prompts stay in memory, so that a question's examples are read once. Not for threads."""

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._llama = _import_runtime()

        class Model(self._llama.LlamaModel):  # type: ignore[misc, name-defined]
            """`get_logits_ith` of cyllama 0.2 asks the model for `n_vocab`, which only its vocabulary has."""

            @property
            def n_vocab(self) -> int:
                return int(self.get_vocab().n_vocab)

        settings = self._llama.LlamaModelParams()
        settings.n_gpu_layers = 0
        self._model = Model(str(weights), settings, verbose=False)
        self._vocabulary = self._model.get_vocab()
        context = self._llama.LlamaContextParams()
        context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max = _TOKENS, _BATCH, _ROWS, _SEQUENCES
        context.n_threads = context.n_threads_batch = threads
        context.kv_unified = context.no_perf = True
        self._context = self._llama.LlamaContext(self._model, context, verbose=False)
        self._kept: dict[tuple[int, ...], int] = {}
        self._used = 0

    def tokens(self, text: str, *, markers: bool = False) -> list[int]:
        """Token ids; what looks like a control token is text, unless `markers`."""
        return list(self._vocabulary.tokenize(text, False, markers))

    def log_likelihoods(self, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Log-likelihood [N] of each text after its prompt; texts go through the model together.

        Raises:
            UserError: prompt and text together are longer than the model's memory.
        """
        totals = np.empty(len(prompts))
        for group in _groups(prompts, texts):
            totals[group] = self._score([prompts[item] for item in group], [texts[item] for item in group])
        return totals

    def _score(self, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> list[float]:
        used = sum(len(text) for text in texts)
        heads = [tuple(prompt[:-1]) for prompt in prompts]
        places = self._keep(heads, used)
        rows = [
            (token, len(prompt) - 1 + offset, places[number], number, wanted)
            for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
            for offset, (token, wanted) in enumerate(zip([prompt[-1], *text], text, strict=False))
        ]
        totals = [0.0] * len(texts)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            batch = self._llama.LlamaBatch(n_tokens=len(part), embd=0, n_seq_max=1, verbose=False)
            for token, position, place, _, _ in part:
                batch.add(token, position, [place], True)
            self._context.decode(batch)
            for row, (_, _, _, number, wanted) in enumerate(part):
                totals[number] += float(_log_softmax(self.scores(row))[wanted])
        for place, head in zip(places, heads, strict=True):
            self._context.memory_seq_rm(place, len(head), -1)
        return totals

    def scores(self, row: int) -> NDArray[np.float64]:
        """How likely each token is after a row of the last batch, before the softmax."""
        return np.asarray(self._context.get_logits_ith(row), dtype=np.float64)

    def _keep(self, prompts: Sequence[tuple[int, ...]], more: int) -> list[int]:
        """The sequences that hold these prompts, with room for `more` tokens.

        What is new is read, in memory of what has the same begin. If there is no room, all else is forgotten first: in the
        holes that single prompts leave, tokens would come to lie out of order, and sums would be rounded otherwise.
        """
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._kept]
        needed = sum(map(len, new)) + more
        if self._used + needed > _TOKENS or len(self._kept) + len(new) > _SEQUENCES:
            self._forget()
            new = list(dict.fromkeys(prompts))
            needed = sum(map(len, new)) + more
        if needed > _TOKENS:
            limits = f"{_TOKENS} tokens, prompt and reply together"
            raise UserError(f"the local model takes {limits}; shorten the prompt or lower llm.max_tokens")
        for prompt in new:
            self._add(prompt)
        return [self._kept[prompt] for prompt in prompts]

    def _add(self, prompt: tuple[int, ...]) -> None:
        place, known = len(self._kept), 0
        if self._kept:
            nearest = max(self._kept, key=lambda item: _common(item, prompt))
            known = _common(nearest, prompt)
            self._context.memory_seq_cp(self._kept[nearest], place, 0, known)
        self.read(prompt[known:], known, place)
        self._kept[prompt] = place
        self._used += len(prompt) - known

    def _forget(self) -> None:
        for place in self._kept.values():
            self._context.memory_seq_rm(place, -1, -1)
        self._kept, self._used = {}, 0

    def read(self, tokens: Sequence[int], position: int, place: int) -> None:
        """Puts tokens into a sequence; the scores of what follows the last one are then in the batch's last row."""
        for start in range(0, len(tokens), _BATCH):
            part = tokens[start : start + _BATCH]
            batch = self._llama.LlamaBatch(n_tokens=len(part), embd=0, n_seq_max=1, verbose=False)
            for offset, token in enumerate(part):
                batch.add(token, position + start + offset, [place], offset == len(part) - 1)
            self._context.decode(batch)

    @contextlib.contextmanager
    def continuation(self, prompt: Sequence[int], most: int) -> Iterator[Continuation]:
        """A text after a prompt, of at most `most` tokens; the model's memory keeps only the prompt at the end.

        Raises:
            UserError: prompt and text together are longer than the model's memory.
        """
        (place,) = self._keep([tuple(prompt[:-1])], most + 1)
        try:
            yield Continuation(self, place, prompt)
        finally:
            self._context.memory_seq_rm(place, len(prompt) - 1, -1)

    def complete(self, prompt: Sequence[int], choices: Sequence[Sequence[int]]) -> int:
        """Index of the choice that greedy decoding reaches first when only choices are allowed."""
        with self.continuation(prompt, max(map(len, choices))) as text:
            return text.pick(choices)[0]

    def generate(self, prompt: Sequence[int], grammar: str | None, most: int) -> tuple[str, bool]:
        """Greedy text of at most `most` tokens under a GBNF grammar, and whether it came to its end."""
        sampler = self._llama.LlamaSampler(self._llama.LlamaSamplerChainParams())
        if grammar is not None:
            sampler.add_grammar(self._vocabulary, grammar, "root")
        sampler.add_greedy()
        said: list[int] = []
        ended = False
        with self.continuation(prompt, most) as text:
            while not ended and len(said) < most:
                text.scores()
                token = sampler.sample(self._context, -1)
                ended = bool(self._vocabulary.is_eog(token))
                if not ended:
                    said.append(token)
                    text.say([token])
        return self._vocabulary.detokenize(said, remove_special=False, unparse_special=False), ended

    def grammar(self, json_schema: Mapping[str, Any]) -> str:
        """A grammar for compact JSON: with free white space, a small model writes line breaks until its limit."""
        lines = self._llama.json_schema_to_grammar(json.dumps(json_schema)).splitlines()
        return "\n".join('space ::= ""' if line.startswith("space ::=") else line for line in lines)


def _groups(prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of what goes through the model together: different prompts that fit into its memory with their texts."""
    group: list[int] = []
    for index, prompt in enumerate(prompts):
        rows = sum(len(texts[item]) for item in [*group, index])
        memory = rows + sum(len(prompts[item]) for item in [*group, index])
        full = len(group) == _GROUP or rows > _BATCH or memory > _TOKENS
        if group and (full or prompt in [prompts[item] for item in group]):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (mine, yours) in enumerate(pairs) if mine != yours), min(len(one), len(other)))


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted: NDArray[np.float64] = scores - scores.max()
    normed: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return normed
