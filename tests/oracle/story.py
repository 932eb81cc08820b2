"""Stories: read, expand, run, compare. The format is in ../vectors/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
TEST_PRICES = "catalog.json"
PLACES = ("place", "selection", "by")


def files() -> list[Path]:
    """Every story file."""
    return sorted(path for path in VECTORS.glob("*.json") if path.name != TEST_PRICES)


def load(path: Path) -> list[dict[str, Any]]:
    """The stories of one file, with the common price file where a story brings none."""
    stories: list[dict[str, Any]] = json.loads(path.read_text())
    for story in stories:
        prices = story.get("prices", json.loads((VECTORS / TEST_PRICES).read_text()))
        story["prices"] = [tomllib.loads(one) if isinstance(one, str) else one for one in prices]
    return [without_places(expand(story)) for story in stories]


def without_places(value: Any) -> Any:
    """The oracle prices what files say, not on which line they say it."""
    if isinstance(value, dict):
        return {key: without_places(item) for key, item in value.items() if key not in PLACES}
    return [without_places(item) for item in value] if isinstance(value, list) else value


def expand(value: Any) -> Any:
    """``{"$repeat": ["x", 3]}`` is ``"xxx"``: how a story holds a text of 10 MB."""
    if isinstance(value, dict):
        if set(value) == {"$repeat"}:
            text, times = value["$repeat"]
            return text * times
        return {key: expand(item) for key, item in value.items()}
    return [expand(item) for item in value] if isinstance(value, list) else value


def mismatch(expected: Any, actual: Any, path: str = "") -> str | None:
    """Why ``actual`` is not as expected: objects by the keys given, arrays in full, scalars exactly."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return f"{path or '.'}: expected an object, got {actual!r}"
        for key, value in expected.items():
            if key not in actual:
                return f"{path}.{key}: missing in {str(actual)[:300]}"
            if found := mismatch(value, actual[key], f"{path}.{key}"):
                return found
        return None
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return f"{path or '.'}: expected {len(expected)} elements, got {actual!r}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return next((found for i, (e, a) in pairs if (found := mismatch(e, a, f"{path}[{i}]"))), None)
    same = type(expected) is type(actual) and expected == actual
    return None if same else f"{path or '.'}: expected {expected!r}, got {actual!r}"


def run(story: dict[str, Any]) -> list[str]:
    """Every way in which the oracle disagrees with the story."""
    from oracle import start

    oracle, answer = start(story)
    found = mismatch(story.get("expect", {"ok": True}), answer)
    if oracle is None or found is not None:
        return [f"start: {found}"] if found else []
    wrong = []
    for at, step in enumerate(story["steps"]):
        answer = oracle.answer(step)
        expected = step.get("expect")
        if expected is None and not {"error", "denied"} & set(answer if isinstance(answer, dict) else ()):
            continue
        if found := mismatch(expected if expected is not None else {"ok": True}, answer):
            wrong.append(f"step {at} ({step['do']}): {found}")
    return wrong
