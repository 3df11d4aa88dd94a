"""Layouts in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.lvd.layout import DynamicSceneLayout, LayoutObject, read_layouts, write_layouts

TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["a\u2028b", "a\x85b", "a\r\nb", "a\x0cb"])


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, st.floats(-1e6, 1e6))))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, str, float]]
) -> None:
    layouts = [
        DynamicSceneLayout(
            prompt=prompt,
            frames=((LayoutObject(id=0, name=name, box=(number, 0, 1, 1)),), ()),
            background=background,
        )
        for prompt, name, background, number in entries
    ]
    path: Path = tmp_path_factory.mktemp("layouts") / "layouts.jsonl"
    write_layouts(path, layouts)
    assert list(read_layouts(path)) == layouts


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "layouts.jsonl"
    path.write_text(
        '{"prompt": "p", "frames": [[]]}\n\n{"prompt": "p", "frames": [[{"id": 0, "name": "a", "box": [1, 2]}]]}\n'
    )
    with pytest.raises(
        UserError, match=r"layouts\.jsonl, line 3: frames\.0\.0\.box\.2: Field required; mend or remove that line"
    ):
        list(read_layouts(path))
