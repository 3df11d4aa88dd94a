"""Matching keys to captions against the list scan that published scripts use."""

from __future__ import annotations

from pathlib import Path

from benchmarks.result import Result, best_seconds
from tasks.corpus.captions import read_captions

_KEYS, _SCANNED = 200_000, 100


def measure_caption_join(folder: Path) -> Result:
    """All keys by `Captions.by_key`; the scan is timed on evenly spaced keys and scaled to all of them."""
    file = folder / "captions.csv"
    file.write_text("key,caption\n" + "".join(f"sa_{n},a caption for number {n}\n" for n in range(_KEYS)), encoding="utf-8")
    captions = read_captions(file)
    rows = list(captions.by_key.items())
    wanted = [f"sa_{n}" for n in range(_KEYS)]

    def scan() -> list[str]:
        return [next(text for key, text in rows if key == name) for name in wanted[:: _KEYS // _SCANNED]]

    def join() -> list[str]:
        return [captions.by_key[name] for name in wanted]

    if scan() != join()[:: _KEYS // _SCANNED]:
        raise AssertionError("the two ways disagree")
    slow, fast = best_seconds(scan, 2) * _KEYS / _SCANNED, best_seconds(join, 5)
    return Result(
        f"join of {_KEYS} captions, speed of a list scan", slow / fast, 1000, True, "x", f"{slow:.0f} s to {fast:.3f} s"
    )
