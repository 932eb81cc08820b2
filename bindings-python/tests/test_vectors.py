"""Every story of tests/vectors, one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spendrail
from stories import Telling, stories

ALL = stories()


@pytest.mark.parametrize("story", ALL, ids=[f"{story['topic']}: {story['name']}" for story in ALL])
def test_story(story: dict[str, Any], tmp_path: Path) -> None:
    assert Telling(story, tmp_path).wrong() == []


class InCode(Telling):
    """The same configuration, given in code."""

    def build(self) -> None:
        tables = {**self.config, "prices": {"builtin": False, **self.config.get("prices", {})}}
        self.guard = spendrail.Guard(config=tables, prices=self.prices, clock=self.clock)


def writes_files(story: dict[str, Any]) -> bool:
    """Reads its files again, or has one that is no object, or one of another tool: in code, only ours are objects."""
    if story["topic"] == "imports":
        return True
    texts = [story.get("config", {}), *story.get("prices", [])]
    return any(step["do"] == "reload" for step in story.get("steps", [])) or not all(
        isinstance(one, dict) for one in texts
    )


STAY = [story for story in ALL if not writes_files(story)]


@pytest.mark.parametrize("story", STAY, ids=[f"{story['topic']}: {story['name']}" for story in STAY])
def test_story_in_code(story: dict[str, Any], tmp_path: Path) -> None:
    assert InCode(story, tmp_path).wrong() == []


def test_the_stories_are_there() -> None:
    assert len(ALL) >= 40
