"""Calendar windows by IANA zone. A window is [start, end); its identity is the UTC instant of its start."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

UTC = timezone.utc
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Span = tuple[datetime | None, datetime | None]


def instant(text: str) -> datetime:
    """RFC 3339 text as an aware instant."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def shown(at: datetime | None) -> str | None:
    """An instant as RFC 3339 text in UTC."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return text.replace("000Z", "Z") if "." in text else text


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def monthly(year: int, month: int, day: int) -> date:
    """A day of a month, clamped to the month's length; months beyond 12 or below 1 carry."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, min(day, monthrange(year, month)[1]))


def span(rule: dict[str, Any], now: datetime) -> Span:
    """The window that contains ``now``, by ``window``, ``timezone``, ``week_starts`` and ``starts_on``."""
    kind, zone = rule["window"], ZoneInfo(rule.get("timezone", "UTC"))
    if kind == "lifetime":
        return None, None
    local = now.astimezone(zone)
    if kind in ("minute", "hour"):
        # Counted on the absolute time line: the hour that a clock shows twice is two windows.
        length = timedelta(minutes=1) if kind == "minute" else timedelta(hours=1)
        into = timedelta(minutes=local.minute if kind == "hour" else 0, seconds=local.second)
        start = now - into - timedelta(microseconds=local.microsecond)
        return start, start + length
    first, last = days(rule, local.date())
    return midnight(first, zone), midnight(last, zone)


def days(rule: dict[str, Any], today: date) -> tuple[date, date]:
    """First day of the window, and first day of the next."""
    kind, starts_on = rule["window"], rule.get("starts_on", 1)
    if kind == "day":
        return today, today + timedelta(days=1)
    if kind == "week":
        back = (today.weekday() - DAYS.index(rule.get("week_starts", "monday"))) % 7
        return today - timedelta(days=back), today + timedelta(days=7 - back)
    if kind == "month":
        this = monthly(today.year, today.month, starts_on)
        step = 0 if today >= this else -1
        return tuple(monthly(today.year, today.month + step + i, starts_on) for i in (0, 1))  # type: ignore[return-value]
    if kind == "year":
        return date(today.year, 1, 1), date(today.year + 1, 1, 1)
    length = int(kind.split()[0])
    anchor = date.fromisoformat(starts_on) if isinstance(starts_on, str) else date(1970, 1, 1)
    into = (today - anchor).days % length
    return today - timedelta(days=into), today - timedelta(days=into) + timedelta(days=length)
