"""A reply that cannot be used: the caller sets its item aside with the reason."""

from __future__ import annotations

MOST_RAW = 20_000
"""Characters of a bad reply that an error carries."""


class ReplyError(Exception):
    """A language model answered, but not with what was asked for.

    Attributes:
        reason: a short fixed word: "refusal", "content_filter", "too_long" (the request), "length" (the reply was cut off at
            `max_tokens`), "too_large" (above `most_reply_bytes`), "empty", "not_json" or "invalid".
        detail: what is wrong, for people; made of hostile text, so escape it where it is shown.
        raw: the reply itself, at most `MOST_RAW` characters.
    """

    def __init__(self, reason: str, detail: str, raw: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.raw = raw[:MOST_RAW]
