"""What one catalog lists for one model, in our words: rate keys and units of `schema/catalog.schema.json`."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

PER_MILLION = Decimal(1_000_000)
PER_HOUR = Decimal(3600)


@dataclass
class Variant:
    """Other rates when something about the request holds."""

    when: dict
    rates: dict
    over: dict = field(default_factory=dict)
    start: str = ""
    multiply: Decimal | None = None
    except_: tuple = ()


@dataclass
class Period:
    """Rates from a day on; `over` is {tokens: rates}."""

    rates: dict
    over: dict = field(default_factory=dict)
    variants: list = field(default_factory=list)
    start: str = ""
    sources: tuple = ()
    notes: list = field(default_factory=list)


@dataclass
class Listing:
    """One model of one catalog, or of both after merging."""

    id: str
    catalog: str
    mode: str = "chat"
    max_input: int | None = None
    max_output: int | None = None
    deprecated: str = ""
    page: str = ""
    periods: list = field(default_factory=list)
    aliases: list = field(default_factory=list)
    patterns: list = field(default_factory=list)
    minimum: dict = field(default_factory=dict)
    same_as: str = ""
    notes: list = field(default_factory=list)
    # The names of the catalogs' entries it was read from.
    origins: list = field(default_factory=list)

    def period_on(self, day):
        """The period in force on a day; the first one if none has begun."""
        begun = [period for period in self.periods if period.start <= day]
        return begun[-1] if begun else self.periods[0]


def exact(number):
    """A decimal without binary noise: 15 digits and more that stand for 12 or fewer become these; the rest is cut to
    the 12 fraction digits of a rate."""
    number = Decimal(number)
    if len(number.as_tuple().digits) >= 13 and number:
        scale = number.adjusted() - 11
        short = number.quantize(Decimal(1).scaleb(scale), ROUND_HALF_EVEN)
        if abs(short - number) <= abs(number) * Decimal("1e-12"):
            number = short
    if number.as_tuple().exponent < -12:
        number = number.quantize(Decimal("1e-12"), ROUND_HALF_EVEN)
    return number.normalize()


def per_hour(seconds):
    """A price per second as one per hour."""
    return exact(Decimal(seconds) * PER_HOUR)


def hourly(seconds):
    """An hourly price that a catalog tells per second: 0.00003083 is 0.111 an hour. A figure of four digits or more
    was cut somewhere, so the shortest decimal that it can stand for is the price."""
    seconds = Decimal(seconds)
    if len(seconds.as_tuple().digits) < 4:
        return per_hour(seconds)
    slack = Decimal(5).scaleb(seconds.as_tuple().exponent - 1) * PER_HOUR
    for places in range(13):
        short = (seconds * PER_HOUR).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
        if abs(short - seconds * PER_HOUR) <= slack:
            return short.normalize()
    return per_hour(seconds)


def text(number):
    """A decimal as a catalog file has it."""
    return format(number.normalize(), "f") if number else "0"
