"""How many rotated activity logs Zoomdata keeps: its default, and what to set instead.

The vendor's pages of versions 25 and 26 name the number of files `activity.log.file.count` ("Composer Log Unification") and
`log.file.count` ("Activity Logging"); that of the size is `activity.log.file.size`, in MB. By default one file of 10 MB is kept.
"""

KEPT_SIZE = range(10_000_000, 12_000_000)
"""Bytes that a file rotated at 10 MB (of 1,000 or 1,024 kB) has: Zoomdata rotates after the entry that reaches the size, or a little later."""
ADVICE = (
    "In zoomdata.properties set activity.log.file.count=10 and log.file.count=10 (the vendor's pages name one or the other) and "
    "activity.log.file.size=100 (MB), then restart Zoomdata."
)
