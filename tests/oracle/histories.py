"""Seeded random histories as story files: what the oracle answers is what an engine must answer.

    python histories.py --seed 7 --count 300 --out FOLDER

Counts the outcomes; one that never happened fails the run, for then nothing was proved about it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import story
from history import History

RARE = """
    denied:budget_exceeded denied:rate_exceeded denied:run_limit_exceeded denied:stopped denied:unknown_model
    denied:run_closed denied:loop_detected error:id_reused error:hold_closed error:config_invalid
    flag:over_run flag:late flag:repeated flag:estimated expired freed unconfirmed rolled topped_up negative
    would_deny settled:reloaded several_failures moved
""".split()


def make(seed: int, count: int) -> Iterator[tuple[dict[str, Any], Counter[str]]]:
    """``count`` stories, each with what happened in it."""
    prices = json.loads((story.VECTORS / story.TEST_PRICES).read_text())
    for number in range(count):
        history = History(random.Random(f"{seed}-{number}"), f"{seed}-{number}", prices)
        yield history.story(), history.outcomes


def main() -> int:
    """Writes the stories, one file per hundred."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    total: Counter[str] = Counter()
    batch: list[dict[str, Any]] = []
    for number, (one, outcomes) in enumerate(make(arguments.seed, arguments.count)):
        total += outcomes
        batch.append(one)
        if len(batch) == 100 or number + 1 == arguments.count:
            (arguments.out / f"histories-{number // 100:04}.json").write_text(json.dumps(batch))
            batch = []
    print(json.dumps(dict(sorted(total.items()))))
    missing = [outcome for outcome in RARE if not total[outcome]]
    if missing:
        print(f"never happened: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
