"""The results of `indexer check`: a topic, a level, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from indexer.errors import Fatal


class Topic(StrEnum):
    """What is checked, in this order; the value is printed."""

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
    TYPES = "activity types"
    SEALS = "seals"
    LOGS = "log files"
    STATE = "state"


class Level(StrEnum):
    """The values are those of the JSON output."""

    OK = "fine"
    WARNING = "warning"
    """It works, and somebody should know."""
    FAILED = "wrong"
    """`indexer run` would not do its work, or not all of it."""
    NOT_TRIED = "not tried"
    """An earlier step failed, or the server refuses to answer."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the output."""

    topic: Topic
    state: Level
    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON output."""

    fine: bool
    """Nothing failed."""
    findings: tuple[CheckResult, ...]


def ok(topic: Topic, what: str) -> CheckResult:
    """It is as it should be."""
    return CheckResult(topic, Level.OK, what)


def warn(topic: Topic, what: str, cure: str) -> CheckResult:
    """Somebody should know."""
    return CheckResult(topic, Level.WARNING, what, cure)


def fail(topic: Topic, what: str, cure: str) -> CheckResult:
    """Somebody has to fix it."""
    return CheckResult(topic, Level.FAILED, what, cure)


def failed(topic: Topic, error: Fatal) -> CheckResult:
    """An error's sentence and hint."""
    return fail(topic, error.sentence.format(**error.facts), error.hint.format(**error.facts))


def not_tried(topic: Topic, what: str) -> CheckResult:
    """It was not checked."""
    return CheckResult(topic, Level.NOT_TRIED, what)
