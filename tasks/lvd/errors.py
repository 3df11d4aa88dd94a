"""Replies of language models from which no layout can be made."""

from __future__ import annotations

from tasks.llm.errors import ReplyError


class PlanError(ReplyError):
    """No layout for this prompt; the caller sets it aside with the reason and the raw reply, and goes on with the others.

    Attributes:
        reason: a short fixed word: "oversize", "too-deep", "no-layout" (no frames at all, such as a refusal),
            "missing-frame", "bad-frame" (its list cannot be read), "too-many-frames", "too-many-objects", "no-objects"
            (none has a usable name and box), or a reason of `ReplyError`.
        detail: what is wrong, for people and for the model that is asked again; escape it where it is shown.
        raw: the reply itself, its first part if it is long.
    """
