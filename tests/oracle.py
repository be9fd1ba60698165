"""The oracle of cron: when an expression is due, by `cronsim` or by every minute's wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from domain import zones
from domain.cron import read

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EXPRESSIONS = (
    "* * * * *",
    "0 * * * *",
    "*/15 * * * *",
    "*/7 * * * 1-5",
    "5,35 * 1-7 * *",
    "30 */2 * * *",
    "0 */6 * * 0",
    "*/20 */3 * 3,4,9-11 *",
    "0 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "15 2 * * 0",
    "45 2 * * sun,mon",
    "0 3 * * *",
    "30 3 * * *",
    "0,30 2 * * *",
    "0 2,3 * * *",
    "10-50/20 1-3 * * *",
    "*/15 2 * * *",
    "* 1 * * 7",
    "5/25 0-4/2 * * *",
    "0 7 * * 1-5",
    "0 9 * * mon-fri",
    "0 12 1,15 * 1",
    "30 2 1-7 * sun",
    "0 2 8-14 3,11 0",
    "0 0 1 * *",
    "0 0 31 * *",
    "30 23 28-31 * *",
    "0 0 29 2 *",
    "0 4 */2 * */3",
    "30 2 */7 mar,oct *",
    "0 2 * 3,10 6,7",
    "15 14 1 jan,jul *",
    "0 22 * 3-5,9-11 fri",
    "45 0-3 25-31 3,10 *",
)


def due(text: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The instants (UTC) after one and up to another at which something is due."""
    if read(text).wild and _astray(zone, after, until):
        return _every_minute(text, zone, after, until)
    found = []
    for at in CronSim(_spelled(text), after.astimezone(ZoneInfo(zone))):
        if at.astimezone(UTC) > until:
            break
        found.append(at.astimezone(UTC))
    return found


def _spelled(text: str) -> str:
    """With the minutes as numbers where they begin with a star and the hour does not.

    To cronsim, as to Debian's cron, the star alone makes `*/15 2` follow real time, while `0,15,30,45 2`
    follows the wall. To us they are the same.
    """
    rule, rest = read(text), text.split(" ", 1)[1]
    return text if rule.wild else f"{','.join(map(str, rule.minutes))} {rest}"


def _astray(zone: str, after: datetime, until: datetime) -> bool:
    """Whether cronsim's walk in real time, by whole hours and from midnights, does not hold here."""
    return any(
        abs(change.after - change.before) % HOUR or change.begins.hour == 0 or change.shows.hour == 1
        for year in range(after.year, until.year + 1)
        for change in zones.changes(zone, year)
        if after - 24 * HOUR < change.at < until + 24 * HOUR
    )


def _every_minute(text: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    fields, tz, found = CronSim(text, after), ZoneInfo(zone), []
    at = after.replace(second=0, microsecond=0) + MINUTE
    while at <= until:
        wall = at.astimezone(tz)
        if (
            wall.minute in fields.minutes
            and wall.hour in fields.hours
            and wall.month in fields.months
            and fields.match_day(wall.date())
        ):
            found.append(at)
        at += MINUTE
    return found
