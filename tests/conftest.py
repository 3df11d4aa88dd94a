"""Property tests draw the same examples in every run and are not timed; the longest tests come first."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("groundreel", deadline=None, derandomize=True)
settings.load_profile("groundreel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs of the whole DAG begin at once, so that two processes side by side end at about the same time."""
    items.sort(key=lambda item: "pipeline" not in item.path.parts)
