"""What a version of Zoomdata logs: the activities, how often, and whose requests are entries, too."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from indexer.demo import activities, administration
from indexer.demo.activities import Activity
from indexer.demo.company import PEOPLE, PORTAL, PROBE, Person
from indexer.demo.profiles import Profile


@dataclass(frozen=True)
class Logged:
    """What a version logs."""

    odds: dict[Activity, float]
    """Relative frequency of each activity."""
    users: tuple[Person, ...]
    without: frozenset[str] = frozenset()
    """Common fields that it does not write."""

    @cached_property
    def activities(self) -> list[Activity]:
        """The activities, in the order of `cumulated_odds`."""
        return list(self.odds)

    @cached_property
    def cumulated_odds(self) -> list[float]:
        """For `random.choices`."""
        return list(accumulate(self.odds.values()))


_COMPOSER: dict[Activity, float] = {
    activities.log_in: 45,
    activities.edit_visual: 22,
    activities.view_details: 12,
    activities.export: 4,
    activities.export_csv: 5,
    administration.save_source: 3,
    activities.upload: 2.5,
    administration.update_user: 1.5,
    administration.update_group: 0.8,
    administration.update_account: 0.2,
}
_ZOOMDATA_2: dict[Activity, float] = {
    activities.view: 55,
    activities.log_in: 16,
    activities.edit_definition: 6,
    activities.request: 6,
    activities.edit_chart: 3,
    activities.bookmark: 3,
    activities.view_details: 1.2,
    activities.export: 0.8,
    activities.export_csv: 2,
    administration.share_dashboard: 1.5,
    administration.save_source: 1.2,
    administration.grant_token: 1,
    activities.upload: 0.8,
    administration.share_by_key: 0.4,
    administration.update_user: 0.4,
    administration.update_group: 0.2,
    administration.register_client: 0.1,
    administration.update_account: 0.05,
}
LOGGED = {
    # 7.7 dropped `userType` and the security keys by which the partners' portal logs in.
    Profile.COMPOSER: Logged(_COMPOSER, tuple(PEOPLE), frozenset({"userType"})),
    Profile.ZOOMDATA_2: Logged(_ZOOMDATA_2, (*PEOPLE, PORTAL, PROBE)),
}
