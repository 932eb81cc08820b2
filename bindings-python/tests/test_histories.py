"""Random histories that the oracle has answered, told through the public API."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from stories import Telling

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "oracle"))

from histories import RARE, make

HISTORIES, SEED = 200, 5


class Later(Telling):
    """A history may use a handle again that was let go of."""

    def abandon(self, step: dict[str, Any], given: dict[str, Any]) -> None:
        self.holds[step["hold"]].abandon()


def test_random_histories(tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    for story, outcomes in make(SEED, HISTORIES):
        happened += outcomes
        folder = tmp_path / story["name"]
        folder.mkdir()
        if found := Later(story, folder).wrong():
            wrong[story["name"]] = found
    assert wrong == {}
    # An outcome that never happened was not compared.
    assert [outcome for outcome in RARE if not happened[outcome]] == []
