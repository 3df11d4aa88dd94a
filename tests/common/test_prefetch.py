"""Batches and prefetching: order, errors, and one item ahead at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.prefetch import batches, prefetch


@given(st.lists(st.integers()), st.integers(1, 5))
def test_nothing_is_lost_or_reordered(items: list[int], size: int) -> None:
    groups = list(batches(items, size))
    assert [item for group in groups for item in group] == items
    assert all(len(group) == size for group in groups[:-1])
    assert list(prefetch(lambda item: item[0] * 2 + 1, prefetch(lambda item: (item,), items))) == [2 * i + 1 for i in items]


def test_one_item_is_prepared_ahead_and_no_more() -> None:
    prepared: list[int] = []

    def prepare(item: int) -> int:
        prepared.append(item)
        return item

    ready = prefetch(prepare, range(1, 100))
    assert next(ready) == 1
    assert len(prepared) <= 2
    ready.close()  # type: ignore[attr-defined]
    assert len(prepared) <= 3


def test_errors_come_where_their_item_would() -> None:
    ready = prefetch(lambda item: 2 // item, [2, 1, 0])
    assert [next(ready), next(ready)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        next(ready)
