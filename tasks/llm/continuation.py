"""A text that a local model continues token by token, or picks out of given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.llm.llama_runtime import LlamaRuntime


class Continuation:
    """A text that grows after a prompt; what is said is read when scores are asked for."""

    def __init__(self, runtime: LlamaRuntime, place: int, prompt: Sequence[int]) -> None:
        self._runtime = runtime
        self._place = place
        self._position = len(prompt) - 1
        self._unread = [prompt[-1]]

    def say(self, tokens: Sequence[int]) -> None:
        """Lets the text go on with these tokens."""
        self._unread += tokens

    def scores(self) -> NDArray[np.float64]:
        """How likely each token is to come next, before the softmax; reads what was said since the last time."""
        self._runtime.read(self._unread, self._position, self._place)
        self._position += len(self._unread)
        self._unread = []
        return self._runtime.scores(-1)

    def pick(self, options: Sequence[Sequence[int]]) -> tuple[int, int]:
        """The option that greedy decoding reaches first, and how many of its tokens are said already.

        The model is asked only where options differ.
        """
        alive, decided = list(range(len(options))), 0
        while len(alive) > 1:
            tokens = sorted({options[index][decided] for index in alive})
            best = tokens[0] if len(tokens) == 1 else max(tokens, key=self.scores().__getitem__)
            alive = [index for index in alive if options[index][decided] == best]
            if len(alive) == 1 or any(len(options[index]) == decided + 1 for index in alive):
                break
            self.say([best])
            decided += 1
        return min(alive, key=lambda index: len(options[index])), decided
