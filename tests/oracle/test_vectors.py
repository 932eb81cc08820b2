"""Every vector against the oracle: each checks the other before any engine runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

import story

# Files of other tools: those tools are their oracle (tests/differential/differential.py).
FOREIGN = "imports"
STORIES = [(path.stem, one) for path in story.files() if path.stem != FOREIGN for one in story.load(path)]


@pytest.mark.parametrize(("topic", "one"), STORIES, ids=[f"{topic}: {one['name']}" for topic, one in STORIES])
def test_vector(topic: str, one: dict[str, Any]) -> None:
    assert story.run(one) == []


def test_names_are_unique() -> None:
    names = [(topic, one["name"]) for topic, one in STORIES]
    assert len(names) == len(set(names))


def test_every_code_occurs() -> None:
    """Every code of the closed table, but for those that the README excuses."""
    table = (story.VECTORS.parent.parent / "core" / "src" / "codes.rs").read_text()
    codes = set(re.findall(r'^    \w+ = "(\w+)",', table, re.M))
    text = "".join(path.read_text() for path in story.files())
    shown = {code for code in codes if f'"code": "{code}"' in text}
    excused = set(
        re.findall(r"`(\w+)`", (story.VECTORS / "README.md").read_text().split("no story here shows")[1])
    )
    assert len(codes) > 30
    assert codes - shown == excused
