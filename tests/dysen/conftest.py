"""What tests against a server on this machine need of the environment."""

from __future__ import annotations

import pytest

from tests.llm.endpoint_for_tests import KEY, KEY_VARIABLE


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy on the way to this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch, no_proxy: None) -> None:
    """The key in the environment, and no proxy."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
