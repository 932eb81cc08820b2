"""What becomes of two listings of one model. Each test is a rule of `merge`, `rules`, `regions` or `fold`."""

from decimal import Decimal
from typing import ClassVar

import pytest
from files import MARK, Catalog
from fold import fold
from layout import document
from limits import Limits, same_model
from merge import merge
from published.listing import Listing, Period, Variant, exact, hourly, per_hour
from regions import add_places, regional_prices

TODAY, TOMORROW = "2026-11-01", "2027-01-01"


def rates(**figures):
    return {key: Decimal(figure) for key, figure in figures.items()}


def listing(catalog, *periods, name="m", mode="chat", **more):
    return Listing(name, catalog, mode, page="https://example.com", periods=list(periods), **more)


def lite(period, **more):
    return listing("litellm", period, **more)


def genai(*periods, **more):
    return listing("genai-prices", *periods, **more)


def merged(one, other=None):
    return merge(one, other).periods


def test_the_dearer_figure_counts_and_the_note_says_so():
    (period,) = merged(
        lite(Period(rates(input="3", cache_read="0.3", output="15"))), genai(Period(rates(input="2", output="20")))
    )
    assert period.rates == rates(input="3", cache_read="0.3", output="20")
    assert period.sources == ("litellm", "genai-prices")
    assert period.notes == [
        "litellm lists output 15; the dearer figures of genai-prices are taken",
        "genai-prices lists input 2; the dearer figures of litellm are taken",
    ]


def test_a_dated_change_beats_the_figure_before_it():
    periods = merged(
        lite(Period(rates(input="3", output="15"))),
        genai(Period(rates(input="3", output="15")), Period(rates(input="2", output="10"), start=TODAY)),
    )
    assert [period.rates["input"] for period in periods] == [3, 2]
    assert periods[1].notes == [f"litellm still lists the price before {TODAY}"]


def test_an_announced_price_keeps_what_only_litellm_lists():
    periods = merged(
        lite(Period(rates(input="1", input_audio="4", output="5", web_search="14"))),
        genai(Period(rates(input="1", output="5")), Period(rates(input="2", output="10"), start=TOMORROW)),
    )
    assert periods[1].start == TOMORROW and periods[1].sources == ("genai-prices",)
    assert periods[1].rates == rates(input="2", input_audio="8", output="10", web_search="14")


def test_a_length_lets_what_it_does_not_name_grow():
    (period,) = merged(
        lite(Period(rates(input="1", cache_read="0.1", output="4"), {200_000: rates(input="2", output="6")}))
    )
    assert period.over == {200_000: rates(input="2", cache_read="0.2", output="6")}
    assert "cache_read" in period.notes[0]


@pytest.mark.parametrize(
    ("mode", "listed", "kept"),
    [
        ("chat", {"input": "2.75", "cache_write": "1.38", "output": "11"}, {"input", "output"}),
        ("chat", {"input": "2", "cache_read": "0", "output": "6"}, {"input", "output"}),
        ("embedding", {"input": "0.1", "output": "0.1"}, {"input"}),
        ("image", {"input": "5", "output_image": "30", "output_image_unit": "0.04"}, {"input", "output_image"}),
        ("image", {"input": "0", "output": "0", "output_image_unit": "0.04"}, {"output_image_unit"}),
        ("audio", {"input": "1", "output": "5", "input_audio_second": "0.18"}, {"input", "output", "input_audio_second"}),
        ("chat", {"input": "1", "output": "5", "output_reasoning": "5"}, {"input", "output"}),
        ("chat", {"input": "1", "output": "5", "output_reasoning": "6"}, {"input", "output", "output_reasoning"}),
    ],
)
def test_what_is_no_price_is_left_out(mode, listed, kept):
    (period,) = merged(lite(Period(rates(**listed)), mode=mode))
    assert period.rates.keys() == kept


def test_batch_is_never_halved_and_priority_never_spared():
    long = {100: rates(input="4", output="20")}
    (period,) = merged(
        lite(
            Period(
                rates(input="2", cache_read="0.2", output="10"),
                long,
                [
                    Variant({"tier": "batch"}, rates(input="1", output="5")),
                    Variant({"tier": "priority"}, rates(input="3", output="15")),
                    Variant({"tier": "flex"}, rates(input="2", output="10")),
                ],
            )
        )
    )
    batch, priority = period.variants
    assert batch.rates == rates(input="1", output="5") and not batch.over
    assert priority.rates == rates(input="3", cache_read="0.3", output="15")
    assert priority.over == {100: rates(input="4", cache_read="0.4", output="20")}


def test_tiers_of_one_catalog_give_way_to_the_standard_of_the_other():
    (period,) = merged(
        lite(Period(rates(input="1", output="1"), variants=[Variant({"tier": "priority"}, rates(input="1.2"))])),
        genai(Period(rates(input="2", output="3"))),
    )
    assert period.rates["input"] == 2 and period.variants == []


def test_bedrock_ids_without_global_are_regional():
    name = "anthropic.claude-sonnet-4-6"
    models = {
        f"{zone}{name}": merge(lite(Period(rates(input="3", output="15", web_search="10")), name=f"{zone}{name}"), None)
        for zone in ("", "us.", "global.")
    }
    models["anthropic.claude-3-haiku"] = merge(lite(Period(rates(input="1", output="5"))), None)
    regional_prices(models)
    assert models[f"us.{name}"].periods[0].rates == rates(input="3.3", output="16.5", web_search="10")
    assert models[f"global.{name}"].periods[0].rates["input"] == 3
    assert models["anthropic.claude-3-haiku"].periods[0].rates["input"] == 1


def test_regions_are_a_factor_or_rates_for_every_tier():
    def base():
        half = [Variant({"tier": "batch"}, rates(input="1", output="5"))]
        return {"m": merge(lite(Period(rates(input="2", output="10"), variants=half)), None)}

    factor = base()
    dearer = lite(Period(rates(input="2.4", output="12")))
    add_places(factor, {"m": [({"region": "us-gov-east-1"}, dearer), ({"region": "us-gov-west-1"}, dearer)]})
    (_, everywhere) = factor["m"].periods[0].variants
    assert (everywhere.when, everywhere.multiply) == ({"region": "us-gov-*"}, Decimal("1.2"))

    odd = base()
    add_places(odd, {"m": [({"region": "eu-west-1"}, lite(Period(rates(input="2.5", output="11"))))]})
    found = [(variant.when, variant.rates["input"]) for variant in odd["m"].periods[0].variants]
    assert found == [
        ({"tier": "batch"}, 1),
        ({"region": "eu-west-1"}, Decimal("2.5")),
        ({"tier": "batch", "region": "eu-west-1"}, Decimal("2.5")),
    ]


@pytest.fixture
def hand(tmp_path):
    text = 'catalog = 1\nprovider = "p"\nstrip_prefixes = ["p/"]\ndate_suffix = true\n[models."mine"]\naliases = ["own"]\n'
    return Catalog(tmp_path / "p.toml", text)


def named(name, output="5", **more):
    return merge(lite(Period(rates(input="1", output=output)), name=name, **more), None)


def test_names_of_one_model_fold_and_others_do_not(hand):
    models = {
        one.id: one
        for one in (named("a-2026-01-01"), named("a"), named("a-mini"), named("a-latest", output="9"), named("p/own"))
    }
    models["a"].aliases = ["own", "p/other"]
    kept = {listing.id: listing.aliases for listing in fold(models, "p", hand)}
    assert kept == {"a": ["a-2026-01-01", "other"], "a-mini": [], "a-latest": [], "p/own": []}


def test_the_same_models_give_the_same_text(hand):
    models = [named("b-2"), named("b-10"), named("a", deprecated="2020-01-01"), named("e", mode="embedding")]
    text = document(fold({one.id: one for one in models}, "p", hand), "p")
    assert text == document(fold({one.id: one for one in reversed(models)}, "p", hand), "p")
    catalog = Catalog(hand.path, f"{hand.text}\n{MARK}\n\n{text}")
    assert list(catalog.models) == ["mine", "b-10", "b-2", "e", "a"]
    assert catalog.models["b-2"]["prices"] == [
        {
            "rates": {"input": "1", "output": "5"},
            "source": "https://example.com (litellm only)",
            "checked": "2026-11-20",
        }
    ]


@pytest.mark.parametrize(
    ("figure", "decimal"),
    [
        ("0.9499999999999999", "0.95"),
        ("1.6000000000000001", "1.6"),
        ("0.138", "0.138"),
        ("0.003625", "0.003625"),
        ("0.083333333333333333", "0.083333333333"),
    ],
)
def test_noise_goes_digits_stay(figure, decimal):
    assert exact(Decimal(figure)) == Decimal(decimal)


@pytest.mark.parametrize(
    ("second", "hour"),
    [("0.0001", "0.36"), ("0.00003083", "0.111"), ("0.001333333333333", "4.8"), ("0.00002778", "0.1")],
)
def test_an_hour_is_what_the_page_says(second, hour):
    assert hourly(Decimal(second)) == Decimal(hour)
    assert per_hour(Decimal("0.143353")) == Decimal("516.0708")


class Litellm:
    """What `Limits` asks of the map."""

    entries: ClassVar = {"sample_spec": None, "azure/grok-4": 131072, "xai/grok-4": 256000, "unknown": None}

    def listing(self, name, model):
        return Listing(model, "litellm", max_output=self.entries[name])


def completed(id, window=None, **more):
    one = Listing(id, "litellm", **more)
    Limits(Litellm()).complete(one, window)
    return one.max_output, one.notes


def test_a_maximum_output_is_the_models_whoever_sells_it():
    largest = (256000, ["max_output_tokens as litellm lists it for xai/grok-4"])
    assert completed("grok-4") == largest and completed("Grok-4-2026-01-02", window=1) == largest
    # What is listed stands; a model that does not write needs none.
    assert completed("grok-4", max_output=7) == (7, [])
    assert completed("grok-4", mode="embedding") == (None, [])


def test_without_one_no_output_is_longer_than_the_context_window():
    assert completed("unheard-of", window=8192) == (
        8192,
        ["max_output_tokens is the context window: no maximum is listed"],
    )
    # Never by a part of a name.
    assert completed("grok-4-fast") == (None, []) and completed("grok") == (None, [])


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("openrouter/anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("accounts/fireworks/models/kimi-k2p5", "kimi-k2-5"),
        ("vertex_ai/claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("google/gemma-2-9b-it:free", "gemma-2-9b-it"),
        ("deepseek/deepseek-v3", "deepseek-v3"),
        ("ollama/llama3:70b", "llama3:70b"),
    ],
)
def test_names_of_the_same_model(name, same):
    assert same_model(name) == same
