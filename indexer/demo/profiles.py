"""Whose log a sample is like, in a module of its own: the command line needs the names, and not the sample."""

from enum import StrEnum


class Profile(StrEnum):
    """Whose log a sample is like; the values are typed on the command line."""

    COMPOSER = "composer"
    """Current versions (Composer, Simba Self-Service Analytics): the nine types documented for 6 to 26, all switched on."""
    ZOOMDATA_2 = "zoomdata-2"
    """Zoomdata 2.x: all of its types, and one of no documentation."""
