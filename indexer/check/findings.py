"""What `indexer check` finds: a topic, how it stands, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from indexer.errors import Fatal


class Topic(StrEnum):
    """What is looked at, in this order; the value is what a person reads."""

    CONFIGURATION = "configuration"
    CONNECTION = "connection"
    TLS = "TLS"
    AUTHENTICATION = "authentication"
    PRIVILEGES = "privileges"
    VERSION = "version"
    TEMPLATE = "template"
    ALIAS = "alias"
    INDEX = "write index"
    WRITE = "write test"
    LIFECYCLE = "lifecycle"
    FIELDS = "fields"
    LOGS = "log files"
    STATE = "state"


class Level(StrEnum):
    """How it stands."""

    FINE = "fine"
    ODD = "warning"
    """It works, and somebody should know."""
    WRONG = "wrong"
    """`indexer run` would not do its work, or not all of it."""
    NOT_TRIED = "not tried"
    """Something else has to be mended first, or may not be asked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    topic: Topic
    state: Level
    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All of them."""

    fine: bool
    """Nothing is wrong."""
    findings: tuple[Finding, ...]


def ok(topic: Topic, what: str) -> Finding:
    """It is as it should be."""
    return Finding(topic, Level.FINE, what)


def warn(topic: Topic, what: str, cure: str) -> Finding:
    """Somebody should know."""
    return Finding(topic, Level.ODD, what, cure)


def fail(topic: Topic, what: str, cure: str) -> Finding:
    """Somebody has to mend it."""
    return Finding(topic, Level.WRONG, what, cure)


def failed(topic: Topic, error: Fatal) -> Finding:
    """What an error says."""
    return fail(topic, error.sentence.format(**error.facts), error.hint.format(**error.facts))


def not_tried(topic: Topic, what: str, cure: str = "") -> Finding:
    """Nobody could look."""
    return Finding(topic, Level.NOT_TRIED, what, cure)
