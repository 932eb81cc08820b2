"""What `plausible` finds, and what `compiler` writes."""

import datetime
import json

import pytest
from compiler import compiled
from files import HERE, Catalog, all_files
from plausible import faults, shared_names

SCHEMA = json.loads((HERE / "schema" / "catalog.schema.json").read_text())
HEAD = """catalog = 1
provider = "p"
name = "P"
source = "https://example.com"
checked = "2026-11-20"
date_suffix = true
"""
TAIL = 'source = "https://example.com (both)"\nchecked = "2026-11-20"\n'
GOOD = f"""{HEAD}
[models."m"]
aliases = ["n"]
[[models."m".prices]]
from = "2026-02-01"
rates = {{ input = "2", cache_read = "0.2", output = "10" }}
over = [{{ input_gt = 100, rates = {{ input = "4", cache_read = "0.4", output = "20" }} }}]
variants = [{{ when = {{ tier = "batch" }}, multiply = "0.5" }}]
{TAIL}note = "for people"
[[models."m".prices]]
rates = {{ input = "1", output = "5" }}
{TAIL}"""


def catalog(text, name="p.toml"):
    return Catalog(HERE / "catalog" / name, text)


def found(text):
    return list(faults(catalog(text), SCHEMA, datetime.date(2026, 11, 25), 120))


def test_a_good_file_has_no_fault():
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('cache_read = "0.2"', 'cash_read = "0.2"', "cash_read"),
        ('input = "2"', "input = 2", "is not of type 'string'"),
        ('cache_read = "0.2"', 'cache_read = "3"', "above its input"),
        ('cache_read = "0.4", ', "", "does not name cache_read"),
        ('multiply = "0.5"', 'multiply = "1.5"', "above standard"),
        ('tier = "batch" }, multiply = "0.5"', 'tier = "priority" }, multiply = "0.5"', "below standard"),
        ('output = "20"', 'output = "9"', "cheaper than for a short input"),
        ('input = "1", output = "5"', 'input = "1200", output = "5"', "above 1000 USD"),
        ('from = "2026-02-01"\n', "", "two periods begin"),
        ('[[models."m".prices]]\nrates', '[models."o"]\naliases = ["N"]\n[[models."o".prices]]\nrates', "a name of 'm'"),
        ('source = "https://example.com (both)"\n', "", "has no source"),
        ('checked = "2026-11-20"\nnote', 'checked = "2026-01-01"\nnote', "days ago"),
        ('checked = "2026-11-20"\nnote', "note", "does not say when"),
        (
            '{ when = { tier = "batch" }, multiply = "0.5" }',
            '{ when = { tier = "flex" }, rates = { input = "1" } }, { when = { region = "r" }, rates = { input = "3" } }',
            "neither wins",
        ),
    ],
)
def test_a_fault_is_found(old, new, fault):
    assert old in GOOD
    assert any(fault in sentence for sentence in found(GOOD.replace(old, new))), found(GOOD.replace(old, new))


def test_two_providers_share_no_name():
    other = catalog(HEAD.replace('"p"', '"q"') + 'aliases = ["P"]\n[models]\n', "q.toml")
    assert list(shared_names([catalog(GOOD), other])) == ["q.toml: 'P' is a name of provider 'p' too"]


def test_what_is_compiled():
    texts = compiled([catalog(GOOD)])
    data = json.loads(texts["catalog.json"])
    assert data["catalog"] == 1 and set(data["providers"]["p"]) == {"date_suffix", "models"}
    first = data["providers"]["p"]["models"]["m"]["prices"][0]
    assert set(first) == {"from", "rates", "over", "variants", "source"}
    lines = GOOD.splitlines()
    at, dated, first = json.loads(texts["lines.json"])["p"]["models"]["m"]
    assert lines[at - 1] == '[models."m"]'
    # In the order of the file: head, rates, over, variants.
    assert [lines[number - 1].split()[0] for number in dated[:3]] == ['[[models."m".prices]]', "rates", "over"]
    assert len(dated) == 3 + len(data["providers"]["p"]["models"]["m"]["prices"][0]["variants"])
    assert all("when" in lines[number - 1] for number in dated[3:])
    assert lines[first[1] - 1].startswith('rates = { input = "1"')
    assert texts == compiled([catalog(GOOD)]) and "\n" not in texts["catalog.json"].strip()


def test_every_line_of_every_file_is_right():
    """The table against the files: as many periods and variants, and on each line what it says."""
    catalogs = all_files()
    table = json.loads(compiled(catalogs)["lines.json"])
    for one in catalogs:
        text = ["", *one.text.splitlines()]
        told = table[one.provider]
        assert [text[at] for at in told.get("modifiers", [])] == ["[[modifiers]]"] * len(one.data.get("modifiers", []))
        for name, (at, *periods) in told.get("models", {}).items():
            entry = one.models[name]
            assert name in text[at] and len(periods) == len(entry.get("prices", []))
            for lines, period in zip(periods, entry.get("prices", [])):
                head, rates, over, *variants = [*lines, 0, 0][: max(3, len(lines))]
                assert text[head].endswith(".prices]]") and len(variants) == len(period.get("variants", []))
                assert bool(rates) == ("rates" in period) and text[rates].startswith("rates" if rates else "")
                assert bool(over) == ("over" in period) and text[over].startswith("over" if over else "")
                assert all("when" in text[variant] for variant in variants)
