"""The errors that a user can meet, each with its sentence, hint and exit code.

    Fatal                       one sentence for the user, exit code 1; anything else that escapes is a bug
    ├── WrongUsage              options that contradict each other
    ├── Unreachable             no answer from Elasticsearch            (`run` waits for it)
    ├── NotSecure               TLS fails, or the server's certificate  (`run` waits for it)
    ├── Unavailable             it is overloaded or starting            (`run` waits for it)
    ├── Unexpected              another status
    ├── Refused                 a privilege is missing                  (`run` waits for it)
    │   └── Unauthenticated     the credentials are not accepted        (`run` waits for it)
    ├── NotInstalled            there is no alias                       (`run` waits for it)
    ├── NoWriteIndex            the alias has no write index            (`run` waits for it)
    ├── AliasIsIndex            an index has the alias's name           (`run` waits for it)
    ├── NotElasticsearch        something else answers at that address  (`run` waits for it)
    ├── NoSuchLog               a path that names no log file
    ├── Unreadable              log files that cannot be read
    ├── StateUnusable           the state directory cannot be used
    ├── StateInUse              another indexer holds the state directory
    ├── Stopped                 a signal ended a command before it was done
    └── EmbeddedFailed          the embedded Elasticsearch did not start

Exit codes: 0 done, 1 failed, 2 wrong usage (typer's), 3 done but some lines were rejected.
"""

from typing import ClassVar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REJECTED = 3


class Fatal(Exception):  # noqa: N818 - named for what it means to the user
    """Ends a command with one sentence on standard error and no traceback.

    `sentence` and `hint` are templates for the keyword arguments of the constructor.
    """

    sentence: ClassVar[str] = "{what}"
    hint: ClassVar[str] = ""
    exit_code: ClassVar[int] = EXIT_FAILED
    retryable: ClassVar[bool] = False
    """It may be fixed while `run` waits."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(f"{self.sentence} {self.hint}".strip().format(**facts))


class WrongUsage(Fatal):
    """Settings that make no sense together."""

    sentence = "{what}."
    hint = "{remedy}."
    exit_code = EXIT_USAGE


class Unreachable(Fatal):
    """No connection, or no answer in time."""

    retryable = True
    sentence = "No answer from Elasticsearch at {url} ({reason})."
    hint = "Is it running, and is --elasticsearch-url (INDEXER_ELASTICSEARCH_URL) its address?"


class NotSecure(Fatal):
    """No TLS connection that can be trusted; nothing was sent."""

    retryable = True
    sentence = "No secure connection to Elasticsearch at {url}: {reason}."
    hint = "{remedy}."


class Unexpected(Fatal):
    """A status that no other error stands for."""

    sentence = "Elasticsearch at {url} answers {status}: {reason}."
    hint = "Look at its log."


class Unavailable(Unexpected):
    """429 or 5xx: overloaded, starting, without a master, or a proxy without a server behind it."""

    retryable = True
    hint = "Look at its health and its log; it may pass by itself."


class Refused(Fatal):
    """403."""

    retryable = True
    sentence = "Elasticsearch at {url} refuses {who}: {reason}."
    hint = "`indexer template roles` prints a role for each task."


class Unauthenticated(Refused):
    """401."""

    sentence = "Elasticsearch at {url} does not accept {who}: {reason}."
    hint = "{remedy}."


class NotElasticsearch(Fatal):
    """A proxy's page, a redirect, another product."""

    retryable = True
    sentence = "What answers at {url} is not Elasticsearch ({reason})."
    hint = "Check --elasticsearch-url, its port and its path."


class NotInstalled(Fatal):
    """The write alias does not exist yet."""

    retryable = True
    sentence = "There is no alias {alias!r} on {url}."
    hint = "Run `indexer template install` first."


class NoWriteIndex(Fatal):
    """None of the alias's indices is marked as its write index."""

    retryable = True
    sentence = "The alias {alias!r} on {url} has no write index among {indices}."
    hint = "Set is_write_index on the newest of them (POST _aliases)."


class AliasIsIndex(Fatal):
    """An index, and not an alias, has the alias's name."""

    retryable = True
    sentence = "{alias!r} on {url} is an index, and has to be an alias."
    hint = "Reindex or delete that index, then run `indexer template install`."


class NoSuchLog(Fatal):
    """Nothing to read at that path, and nothing to wait for."""

    sentence = "No log file at {path}."
    hint = "Give a file, a glob, or a directory with *activity*.log* in it."


class Unreadable(Fatal):
    """The operating system, or the file's own format, refuses to give the bytes of one or more files."""

    sentence = "Cannot read {files}."
    hint = "Nothing is lost: fix that, and run the same command again."


class StateUnusable(Fatal):
    """No checkpoint can be kept there."""

    sentence = "Cannot use the state directory {path}: {reason}."
    hint = "Give a writable directory with --state-dir (INDEXER_STATE_DIR)."


class StateInUse(Fatal):
    """Two indexers must not share a checkpoint."""

    sentence = "The state directory {path} is in use by {holder}."
    hint = "Stop that indexer, or give this one a directory of its own with --state-dir."


class Stopped(Fatal):
    """SIGINT or SIGTERM, in a command that was to run to its end."""

    sentence = "Stopped before the end."
    hint = "What was delivered is remembered: run the same command again to go on."


class EmbeddedFailed(Fatal):
    """The server zip or its Java runtime could not be had, or the server stopped while starting."""

    sentence = "The embedded Elasticsearch did not start: {reason}."
    hint = "{hint}"
