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


class State(StrEnum):
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
    state: State
    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All of them."""

    fine: bool
    """Nothing is wrong."""
    findings: tuple[Finding, ...]


def fine(topic: Topic, what: str) -> Finding:
    """It is as it should be."""
    return Finding(topic, State.FINE, what)


def odd(topic: Topic, what: str, cure: str) -> Finding:
    """Somebody should know."""
    return Finding(topic, State.ODD, what, cure)


def wrong(topic: Topic, what: str, cure: str) -> Finding:
    """Somebody has to mend it."""
    return Finding(topic, State.WRONG, what, cure)


def failed(topic: Topic, error: Fatal) -> Finding:
    """What an error says."""
    return wrong(topic, error.sentence.format(**error.facts), error.cure.format(**error.facts))


def not_tried(topic: Topic, what: str, cure: str = "") -> Finding:
    """Nobody could look."""
    return Finding(topic, State.NOT_TRIED, what, cure)
