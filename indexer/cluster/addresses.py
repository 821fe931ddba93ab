"""Addresses that a person gives, which may hold a user and a password: read strictly, so that nothing of them gets lost or shown.

Programs differ in where a host begins when a password holds a sign that has a meaning in an address: what one takes for the
password, the next one calls as a host. Such an address is none here, and not quoted.
"""

import re
from collections.abc import Sequence

from indexer.errors import WrongUsage

_ENCODED = "%[0-9A-Fa-f]{2}"
_ADDRESS = re.compile(
    rf"(?i:https?)://(?:(?:[^\s/?#@\[\]\\%]|{_ENCODED})*@)?"
    rf"(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\%]+)(?::\d+)?(?:/(?:[^\s?#@\\%]|{_ENCODED})*)?"
)
"""RFC 3986 without query and fragment, with letters of any script."""
_QUOTABLE = re.compile(r"(?:\w++://)?(?:\[[^]@]*+\]|[^:/@]*+)(?::\d*+)?(?:/[^:@]*+)?\s*+")
"""What can hold no password: nothing behind a colon but a port."""


def is_address(url: str) -> bool:
    """Tell whether it is one of http or https, and all programs read the same host in it."""
    return _ADDRESS.fullmatch(url) is not None


def refused(url: str, kind: str, option: str, example: str, others: Sequence[str] = ()) -> WrongUsage:
    """What to raise for one that is none; it is quoted, unless it or one of the others may hold a password.

    others   those given with it: an environment variable is split at blanks, which may be in the middle of one.
    """
    remedy = f"Give {option} one like {example}"
    if _QUOTABLE.fullmatch(url) and not any("@" in each for each in others):
        return WrongUsage(what=f"{url!r} is no {kind}", remedy=remedy)
    return WrongUsage(
        what=f"What {option} holds (not shown, as it may be a password) is no {kind}",
        remedy=f"{remedy}; signs in a user or password are written as % and their hexadecimal code, such as %2F for /, %20"
        " for a blank, %40 for @",
    )
