"""Bad items: set aside with a reason, counted, and never too many of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.common.errors import StageError
from tasks.common.files import write_text

_MOST_DETAIL = 300
_MOST_RAW = 20_000


@dataclass
class Quarantine:
    """Lines of `quarantine.jsonl`: {"item", "reason", "detail"}, and "raw" where a text could not be used."""

    lines: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, item: str, reason: str, detail: str = "", raw: str = "") -> None:
        """Sets one item aside; `reason` is a short fixed word such as "truncated", `raw` the text that could not be used."""
        self.reasons[reason] += 1
        entry = {"item": printable(item), "reason": reason, "detail": printable(detail)}
        if raw:
            entry["raw"] = printable(raw, _MOST_RAW)
        self.lines.append(json.dumps(entry, ensure_ascii=False, sort_keys=True))

    def write(self, path: Path) -> None:
        """Writes the lines of one shard."""
        path.write_text("".join(line + "\n" for line in self.lines), encoding="utf-8")


def printable(text: str, most: int = _MOST_DETAIL) -> str:
    """Hostile text made safe for logs and files: control and invalid characters escaped, at most `most` characters read."""
    cleaned = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text[:most]
    )
    return cleaned.encode("utf-8", "backslashreplace").decode("utf-8")


def join_quarantines(files: Iterable[Path], target: Path) -> None:
    """One quarantine list from those of all shards, in their order."""
    write_quarantine([line for file in files for line in file.read_text(encoding="utf-8").splitlines()], target)


def write_quarantine(lines: Sequence[str], target: Path) -> None:
    """A quarantine list, whole or not at all; its first line counts the others, for DVC warns of empty files."""
    write_text(target, "\n".join([json.dumps({"quarantined": len(lines)}), *lines]) + "\n")


def check_bad_share(bad: int, total: int, most: float, where: Path) -> None:
    """Refuses a result in which too much was set aside.

    Raises:
        StageError: more than the fraction `most` of `total` items is bad.
    """
    if total and bad / total > most:
        raise StageError(
            f"{bad} of {total} items are bad ({bad / total:.1%}), above max_bad_fraction {most:.1%}; "
            f"{where} says which and why. Mend the input or raise max_bad_fraction"
        )
