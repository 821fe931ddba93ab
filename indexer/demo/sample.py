"""A sample activity log: one week of a fictitious company, the same for the same seed and end.

People in seven time zones log in, edit, export and administer; the profile says what of it is logged. The week has incidents (UTC):
somebody guesses a password on Tuesday night, millions of rows are exported on Thursday night, and where durations of views are
logged, the sales ledger is slow on Wednesday afternoon (`activities.degraded`).
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from random import Random

import orjson

from indexer.demo import activities, administration
from indexer.demo.activities import HOUR, Event, Fields, date, moment_of_week
from indexer.demo.company import (
    ADMINISTRATORS,
    AUDITOR,
    CLERK,
    PEOPLE,
    PROBE,
    SELLER,
    UNUSED_SOURCES,
    Person,
)
from indexer.demo.logged import LOGGED, Logged
from indexer.demo.profiles import Profile

HOURS = 168
WORKING_DAY = (1, 0, 0, 0, 0, 1, 3, 12, 45, 90, 100, 92, 60, 78, 96, 90, 74, 48, 22, 12, 9, 7, 5, 2)
"""Weight of each hour of a person's local day."""
WEEKEND = 0.07
HEAVY_EXPORT = 11_482_907  # rows

FOR_ADMINISTRATORS = {
    administration.register_client,
    administration.update_account,
    administration.update_group,
    administration.update_user,
}
_moment = itemgetter(0)


def entries(
    count: int, *, end: datetime, seed: int = 1, profile: Profile = Profile.COMPOSER
) -> Iterator[bytes]:
    """Yield `count` lines without line end, ordered by time, for the week before `end`.

    With 100 entries or more, every activity type of the profile occurs.
    """
    logged = LOGGED[profile]
    random = Random(seed)  # noqa: S311 - a sample, no secret
    finish = int(end.timestamp() * 1000)
    start = finish - HOURS * HOUR
    waiting = _fixed_events(random, start, count, logged)[:count]
    drawn, total = 0, count - len(waiting)
    busy = [list(accumulate(_busy(start + hour * HOUR, logged.users))) for hour in range(HOURS)]
    shares = list(accumulate(weights[-1] for weights in busy))
    for hour in range(HOURS):
        begin, target = start + hour * HOUR, round(total * shares[hour] / shares[-1])
        while drawn < target:
            events = _act(random, begin + int(random.random() * HOUR), busy[hour], logged)
            events = events[: total - drawn]
            waiting += events
            drawn += len(events)
        waiting.sort(key=_moment)
        # Entries of an activity that fall into the next hour are kept for it.
        over = bisect_left(waiting, begin + HOUR, key=_moment) if hour < HOURS - 1 else len(waiting)
        for event in waiting[:over]:
            yield _line(event, finish, logged.without)
        del waiting[:over]


def broken() -> tuple[bytes, ...]:
    """Invalid lines as real logs have them: a stack trace, and an entry truncated by a crash."""
    trace = (
        b"java.lang.OutOfMemoryError: Java heap space",
        b"\tat com.zoomdata.activity.FileActivityLogger.log(FileActivityLogger.java:87)",
        b"\tat java.base/java.lang.Thread.run(Thread.java:840)",
    )
    return (
        *trace,
        b'{"eventDate":"2026-05-06 15:12:44.017","user":"priya.raman","activityType":"SOURCE","sta',
    )


def write(
    path: Path,
    count: int,
    *,
    end: datetime,
    seed: int = 1,
    among: Sequence[bytes] = (),
    profile: Profile = Profile.COMPOSER,
) -> None:
    """Write `entries` as a log file with LF line ends, and the lines `among` spread over it. Raises OSError."""
    every = count // (len(among) + 1) + 1
    with path.open("wb", buffering=1 << 20) as file:
        for number, line in enumerate(entries(count, end=end, seed=seed, profile=profile), 1):
            file.write(line + b"\n")
            if among and number % every == 0:
                file.write(among[number // every - 1] + b"\n")


def _busy(moment: int, users: Sequence[Person]) -> list[float]:
    """The weight of each user at a time: people by their local hour and weekday, programs by their activity alone."""
    weights = []
    for person in users:
        day, hour = divmod(moment_of_week(moment + int(person.utc_offset * HOUR)) // HOUR, 24)
        rhythm = WORKING_DAY[hour] * (1.0 if day < 5 else WEEKEND)
        weights.append(person.activity * (rhythm if person.keeps_hours else 1))
    return weights


def _act(random: Random, moment: int, cumulated: list[float], logged: Logged) -> list[Event]:
    who = random.choices(logged.users, cum_weights=cumulated)[0]
    if who is PROBE:
        return activities.health_check(random, moment, who)
    activity = random.choices(logged.activities, cum_weights=logged.cumulated_odds)[0]
    if activity in FOR_ADMINISTRATORS and who not in ADMINISTRATORS:
        who = random.choice(ADMINISTRATORS)
    return activity(random, moment, who)


def _line(event: Event, finish: int, without: Collection[str]) -> bytes:
    moment, who, kind, status, own = event
    entry = {
        "eventDate": date(min(moment, finish)),
        **{name: value for name, value in who.common.items() if name not in without},
        "activityType": kind,
        "status": status,
        **own,
    }
    return orjson.dumps(entry)


def _fixed_events(random: Random, start: int, count: int, logged: Logged) -> list[Event]:
    """Events of every sample: each activity once, the deletions, the incidents."""
    dana = ADMINISTRATORS[0]
    morning = _at(start, 2, 8 * 60)
    events = activities.health_check(random, morning, PROBE) if PROBE in logged.users else []
    for cached in (False, True) if activities.view in logged.odds else ():
        events += activities.view(random, morning, PEOPLE[0], cached=cached)
    for number, activity in enumerate(logged.odds):
        who = dana if activity.__module__ == administration.__name__ else PEOPLE[number]
        events += activity(random, morning + number * HOUR // 5, who)
    return events + _deletions(start) + _incidents(random, start, count)


def _at(start: int, day: int, minutes: int) -> int:
    """The first time after `start` on this weekday (Monday is 0) and minute of the day (UTC)."""
    return start + ((day * 24 * 60 + minutes) * 60_000 - moment_of_week(start)) % (HOURS * HOUR)


def _deletions(start: int) -> list[Event]:
    """Two administrators and an analyst delete an account, unused sources and users."""
    dana, siobhan = ADMINISTRATORS
    trial, copy, test = UNUSED_SOURCES
    done: list[tuple[int, int, Person, str, Fields]] = [
        (0, 615, siobhan, "USER", administration.user_fields(AUDITOR)),
        (1, 850, dana, "SOURCE", administration.source_fields(trial)),
        (1, 853, dana, "SOURCE", administration.source_fields(copy)),
        (2, 560, PEOPLE[1], "SOURCE", administration.source_fields(test)),
        (3, 991, dana, "ACCOUNT", administration.account_fields("Umbrella trial", start, siobhan)),
        (3, 993, dana, "USER", administration.user_fields(CLERK)),
        (3, 1385, dana, "USER", administration.user_fields(SELLER)),
    ]
    return [(_at(start, day, minutes), who, kind, "DELETED", own) for day, minutes, who, kind, own in done]


def _incidents(random: Random, start: int, count: int) -> list[Event]:
    """Failed log-ins of one administrator from one address, and a very large export by a user who is deleted afterwards."""
    dana = ADMINISTRATORS[0]
    guesser = replace(dana, common=dana.common | {"ip": "185.220.101.47"})
    night, own = _at(start, 1, 192), {"authenticationType": "BASE"}
    guesses = min(max(count // 100, 5), 60)
    events: list[Event] = [
        (night + guess * 2_300 + random.randrange(900), guesser, "AUTHENTICATION", "FAILED", own)
        for guess in range(guesses)
    ]
    return events + activities.export_csv(random, _at(start, 3, 1361), SELLER, count=HEAVY_EXPORT)
