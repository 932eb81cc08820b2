"""The editor's schema of `spendrail.toml` and the library know the same keys and accept the same files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import spendrail

from test_snippets import DOCUMENTS, FENCE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "core" / "schema" / "spendrail.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

NOT_YET = {"velocity", "cycles", "without_progress", "exempt_tools", "grace_calls"}
"""Keys that the library knows and refuses: no editor offers them."""

TABLES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "": ({}, []),
    "ledger": ({}, ["ledger"]),
    "scope": ({}, ["scope"]),
    "prices": ({}, ["prices"]),
    "prices.providers.x": ({}, ["prices", "providers", "x"]),
    "prices.overrides": ({"multiply": "1"}, ["prices", "overrides", "[]"]),
    "prices.quarantine": ({}, ["prices", "quarantine"]),
    "endpoints": ({}, ["endpoints"]),
    "estimate": ({}, ["estimate"]),
    "telemetry": ({}, ["telemetry"]),
    "budgets": ({"name": "b", "limit": "1 USD", "window": "day"}, ["budgets", "[]"]),
    "budgets.overrides": ({"match": {"tenant": "a"}, "limit": "1 USD"}, ["budgets", "[]", "overrides", "[]"]),
    "run_limits": ({}, ["run_limits", "[]"]),
    "run_limits.loops": ({}, ["run_limits", "[]", "loops"]),
    "stops": ({"match": {"tenant": "a"}}, ["stops", "[]"]),
}
"""Each table: what it needs, and where it is."""


def within(path: list[str], table: dict[str, Any]) -> dict[str, Any]:
    """The smallest configuration with this table in it."""
    value: Any = table
    for depth in range(len(path) - 1, -1, -1):
        if path[depth] == "[]":
            value = [value]
            continue
        around = TABLES["budgets"][0] if path[:depth] == ["budgets", "[]"] else {}
        value = {**around, path[depth]: value}
    return dict(value)


def known_to_the_library(table: dict[str, Any], path: list[str]) -> set[str]:
    """A key that is like no other: the hint lists those there are."""
    with pytest.raises(spendrail.ConfigError) as refused:
        spendrail.Guard(config=within(path, table | {"zzzzzzzzzzzzzzzz": 1}))
    listed = re.search(r"known keys: ([\w, ]+)", str(refused.value))
    assert listed, str(refused.value)
    return set(listed[1].split(", "))


def known_to_the_schema(path: list[str]) -> set[str]:
    here: dict[str, Any] = SCHEMA
    for part in path:
        if part == "[]":
            here = here["items"]
        elif part in here.get("properties", {}):
            here = here["properties"][part]
        else:
            here = here["additionalProperties"]
        for one in here.get("oneOf", []):
            here = one if "properties" in one else here
    return set(here["properties"])


@pytest.mark.parametrize("name", TABLES)
def test_the_same_keys(name: str) -> None:
    table, path = TABLES[name]
    assert known_to_the_schema(path) == known_to_the_library(table, path) - NOT_YET


def test_every_table_of_the_schema_is_looked_at() -> None:
    def tables(here: Any) -> Iterator[int]:
        if isinstance(here, dict):
            yield from [1] if here.get("additionalProperties") is False else []
            for value in here.values():
                yield from tables(value)
        elif isinstance(here, list):
            for value in here:
                yield from tables(value)

    # Beside those above: four times `{ price = … }`, `match` and `rates`.
    assert sum(tables(SCHEMA)) == len(TABLES) + 4 + 2


def stories() -> Iterator[tuple[str, Any]]:
    paths = (path for path in (ROOT / "tests" / "vectors").glob("*.json") if path.stem != "catalog")
    for path in sorted(paths):
        for story in json.loads(path.read_text()):
            yield f"{path.stem}: {story['name']}", story


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in stories()])
def test_what_the_library_accepts_the_schema_accepts(story: dict[str, Any]) -> None:
    config = story.get("config", {})
    if isinstance(config, str):
        try:
            config = tomllib.loads(config)
        except tomllib.TOMLDecodeError:
            config = json.loads(config) if config.startswith("{") else None
    refused = "error" in story.get("expect", {})
    if config is None or refused:
        assert refused
        return
    assert [error.message for error in VALIDATOR.iter_errors(config)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_are_valid(document: Path) -> None:
    for match in FENCE.finditer(document.read_text()):
        if match[1] == "toml":
            VALIDATOR.validate(tomllib.loads(match[2]))


@pytest.mark.parametrize(
    "text",
    [
        "mod = 'enforce'",
        "[[budgets]]\nname = 'b'\nlimit = 50",
        "[[budgets]]\nname = 'b'\nlimit = '50'",
        "[[budgets]]\nname = 'b'\nlimit = '50 EUR'",
        "[[budgets]]\nname = 'b'\nlimit = '5 USD'\nwindow = '30d'",
        "[[budgets]]\nlimit = '5 USD'",
        "[[budgets]]\nname = 'b'\nlimit = '5 USD'\nper = ['tennant']",
        "[[stops]]\nreason = 'x'",
        "[prices]\non_unknown_model = 'warn'",
        "[prices.on_unknown_model.price]\ninput = 5",
        "[[velocity]]\nrate = '5 USD / 10m'",
        "[ledger]\nhold_ttl = '60'",
    ],
)
def test_what_the_schema_refuses_the_library_refuses(text: str) -> None:
    config = tomllib.loads(text)
    assert not VALIDATOR.is_valid(config)
    with pytest.raises(spendrail.Error):
        spendrail.Guard(config=config)


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
