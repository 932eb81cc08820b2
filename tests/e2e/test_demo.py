"""The demo's own judgement: what is false is said to be false, and on which line."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone

import story
import table
from claims import BOTH, Claim


def test_a_false_claim_shows_both_sides_and_only_what_differs() -> None:
    claims = [
        Claim("acme", "it adds up", 7, 7),
        Claim("globex", "it adds up", Counter(a=1, b=2), Counter(a=1, b=3)),
        Claim(BOTH, "it was quick", True, True),
    ]
    text = table.verdicts(claims)
    assert [claim.holds for claim in claims] == [True, False, True]
    assert "it adds up    true   FALSE" in text and "it was quick  true    true" in text
    assert "FALSE, globex: it adds up\n    expected {'b': 2}\n    found    {'b': 3}" in text
    assert "FALSE, acme" not in text


def test_money_is_shown_in_full() -> None:
    assert table.nano(19_336_275) == "0.019336275" and table.nano(-1) == "-0.000000001"


def test_no_tenant_is_near_its_midnight() -> None:
    for hour in range(24):
        now = datetime(2026, 11, 20, hour, 59, 59, tzinfo=timezone.utc)
        for tenant in story.tenants(now):
            assert 3600 <= tenant.day_ends(now) - now.timestamp() <= 23 * 3600


def test_the_price_file_says_what_the_provider_charges() -> None:
    assert story.probe_cost(story.BEFORE) == "0.0002325" and story.probe_cost(story.AFTER) == "0.000186"
    text = story.price_file("note", story.AFTER)
    for model in story.PROVIDER_OF:
        for rate, price in story.provider_table("2", story.AFTER)["models"][model].items():
            assert rate == "served_as" or f'{rate} = "{price}"' in text
