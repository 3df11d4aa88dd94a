"""Published scores, prompt by prompt, from replies that are not part of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.lvd.benchmark_prompts import benchmark_prompts
from tasks.lvd.layout import read_layouts, write_layouts
from tasks.lvd.layout_hygiene import Hygiene
from tasks.lvd.original_replies import read_original_replies
from tasks.lvd.scoring import score

VERDICTS: dict[str, str] = json.loads((Path(__file__).parent / "golden" / "stage1_reference.json").read_text())["verdicts"]
PROJECT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("GROUNDREEL_LVD_REPLIES", PROJECT.parent / "shared" / "reference" / "lvd_replies"))

pytestmark = pytest.mark.skipif(
    not all((FOLDER / name).is_file() for name in VERDICTS),
    reason=f"the original replies are not in {FOLDER}; set GROUNDREEL_LVD_REPLIES to a folder with {' and '.join(VERDICTS)}",
)

STRICT: dict[str, dict[str, int]] = {
    "cache_lvd_v0.1_gpt-4-1106-preview.json": {
        "numeracy": 95,
        "attribution": 100,
        "visibility": 100,
        "dynamic_spatial": 86,
        "sequential": 88,
        "total": 469,
    },
    "cache_lvd_v0.1_deepseek-chat.json": {
        "numeracy": 99,
        "attribution": 100,
        "visibility": 100,
        "dynamic_spatial": 91,
        "sequential": 41,
        "total": 431,
    },
}
HYGIENE = {
    "cache_lvd_v0.1_gpt-4-1106-preview.json": Hygiene(500, 107, 42, 93, 16),
    "cache_lvd_v0.1_deepseek-chat.json": Hygiene(500, 25, 3, 100, 0),
}
TOTAL = {"cache_lvd_v0.1_gpt-4-1106-preview.json": 488, "cache_lvd_v0.1_deepseek-chat.json": 432}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts_are_the_published_ones(name: str) -> None:
    found = score(benchmark_prompts(), read_original_replies(FOLDER / name).attempts)
    assert "".join(str(int(verdict.compatible)) for verdict in found.verdicts) == VERDICTS[name]
    assert found.counts("compatible")["total"] == TOTAL[name]
    assert found.counts("strict") == STRICT[name]
    assert found.hygiene == HYGIENE[name]
    assert (found.problems(), found.unused) == ({}, {})


@pytest.mark.parametrize("name", VERDICTS)
def test_imported_replies_score_the_same(name: str, tmp_path: Path) -> None:
    replies = read_original_replies(FOLDER / name)
    assert len(replies.cut) == 50
    assert replies.quarantine().reasons == {"background_cut": 50}
    write_layouts(tmp_path / "layouts.jsonl", replies.layouts())
    again: dict[str, list[Any]] = {}
    for layout in read_layouts(tmp_path / "layouts.jsonl"):
        again.setdefault(layout.prompt, []).append(layout)
    assert score(benchmark_prompts(), again, one_serves_all=True).counts("strict") == STRICT[name]
