"""The activity types of Zoomdata's documentation, and those that dashboards and alerts ask for.

Source of the two lists: the vendor's "Activities Log Reference Sheet" of versions 6, 25 and 26. All other types are of 2.x.
"""

import re

from indexer.dashboards.descriptions import texts

BY_DEFAULT = frozenset({"ACCOUNT", "AUTHENTICATION", "GROUP", "SOURCE", "USER", "VIS"})
"""Logged from version 6 on, unless switched off."""
ON_REQUEST = frozenset({"RAW_DATA_EXPORT", "RAW_DATA_EXPORT_CSV", "UPLOAD"})
"""Logged from version 6 on, if switched on."""


def named(text: str) -> frozenset[str]:
    """The activity types that a text in KQL, JSON or YAML asks for."""
    found = re.findall(r'activityType"?: *(\([^)]*\)|\[[^\]]*\]|"?\w+)', text)
    return frozenset(word for it in found for word in re.findall(r"\w+", it)) - {"or"}


def asked_for() -> frozenset[str]:
    """The activity types that a dashboard, a saved search or an alert is about."""
    return frozenset().union(*map(named, texts()))


def why_empty(kql: str) -> str:
    """Why a panel with this query may have nothing to show, as a sentence; empty if its types are logged by default."""
    types = named(kql)
    listed = ", ".join(sorted(types))
    if not types or types & BY_DEFAULT:
        return ""
    if types & ON_REQUEST:
        return f"Logged only if switched on in Zoomdata ({listed}): indexer zoomdata logging."
    return f"Fills on Zoomdata 2.x only, if switched on there ({listed}): later versions do not log it."
