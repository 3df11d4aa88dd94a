"""One corpus and one base model for all tests of the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.igligen.training_for_tests import write_corpus
from tests.video.tiny_text_to_video import write_tiny_text_to_video


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of nine and seven images; to read, not to write."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny text-to-video pipeline with random weights; to read, not to write."""
    return write_tiny_text_to_video(tmp_path_factory.mktemp("model"))
