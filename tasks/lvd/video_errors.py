"""Videos that cannot be made although the others of their batch can."""

from __future__ import annotations

from tasks.common.errors import StageError


class VideoError(StageError):
    """No video for one prompt; a stage sets it aside with the reason and goes on with the others.

    Attributes:
        index: place of the prompt in its batch.
        reason: a short fixed word: "no-layout", "no-tokens", "too-long" (see phrase_tokens) or "not-finite".
        detail: what is wrong, for people.
    """

    def __init__(self, index: int, reason: str, detail: str) -> None:
        super().__init__(f"prompt {index} of the batch: {reason}: {detail}")
        self.index, self.reason, self.detail = index, reason, detail
