"""Every story of tests/vectors, one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stories import Telling, stories

ALL = stories()


@pytest.mark.parametrize("story", ALL, ids=[f"{story['topic']}: {story['name']}" for story in ALL])
def test_story(story: dict[str, Any], tmp_path: Path) -> None:
    assert Telling(story, tmp_path).wrong() == []


def test_the_stories_are_there() -> None:
    assert len(ALL) >= 40
