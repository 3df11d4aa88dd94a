"""What a failed try means: how long to wait for the next one, and what may be told of an endpoint's words."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tasks.common.quarantine import printable

FIRST_WAIT_S = 0.5
_MOST_WORDS = 200
_KEY_PART = 6
_LIKE_A_KEY = re.compile(r"\b(sk|key)-|Bearer", re.IGNORECASE)


class Fault(Exception):
    """A try that failed and may go better next time; `asked_wait_s` is the wait that the endpoint asked for, or 0."""

    def __init__(self, what: str, asked_wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.asked_wait_s = asked_wait_s


def asked_wait_s(headers: Mapping[str, str]) -> float:
    """Seconds that `Retry-After` (seconds or a date) or `Retry-After-Ms` asks to wait; 0 if they say nothing useful."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        wait = _seconds(headers.get(name, "")) * unit
        if wait > 0:
            return wait
    return 0.0


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()


def backoff_s(tries: int, most_s: float) -> float:
    """A wait that doubles with each try, drawn from its upper half so that calls which failed together come back apart."""
    return min(most_s, FIRST_WAIT_S * 2.0 ** (tries - 1)) * random.uniform(0.5, 1)  # noqa: S311 - decides no result


def told(words: object, key: str) -> str:
    """An endpoint's words for an error message: one line, bounded, and nothing if any part of the key may be in them."""
    if not isinstance(words, str) or not words.strip() or _LIKE_A_KEY.search(words):
        return ""
    if any(key[start : start + _KEY_PART] in words for start in range(max(1, len(key) - _KEY_PART + 1))):
        return ""
    return f": {printable(' '.join(words.split()), _MOST_WORDS)}"
