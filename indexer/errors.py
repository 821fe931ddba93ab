"""The errors that a user can see, each with its message, hint and exit code.

    Fatal                       a message for the user, exit code 1; any other exception that escapes is a bug
    ├── WrongUsage              options that contradict each other
    ├── Unreachable             no answer from the server               (`run` waits for it)
    ├── NotSecure               TLS or the server's certificate fails   (`run` waits for it)
    ├── Unavailable             it is temporarily unavailable           (`run` waits for it)
    ├── Unexpected              an unexpected status
    ├── Refused                 a privilege is missing                  (`run` waits for it)
    │   └── Unauthenticated     the credentials are not accepted        (`run` waits for it)
    ├── Blocked                 a block on the cluster or an index      (`run` waits for it)
    ├── NotInstalled            there is no alias                       (`run` waits for it)
    ├── NoWriteIndex            the alias has no write index            (`run` waits for it)
    ├── AliasIsIndex            an index has the name of the alias      (`run` waits for it)
    ├── UnknownProduct          another product answers                 (`run` waits for it)
    ├── NoSuchLog               no log file at a path
    ├── Unreadable              log files that cannot be read
    ├── StateUnusable           the state directory cannot be used
    ├── StateInUse              another indexer uses the state directory
    ├── Stopped                 a signal ended a command early
    └── EmbeddedFailed          the embedded server did not start

Exit codes: 0 done, 1 failed, 2 wrong usage (typer's), 3 done, but not for every line (rejected, or not known).
"""

from typing import ClassVar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REJECTED = 3


class Fatal(Exception):  # noqa: N818 - named for what it means to the user
    """Ends a command with one line on standard error and no traceback.

    `sentence` and `hint` are templates for the keyword arguments of the constructor.
    """

    sentence: ClassVar[str] = "{what}"
    hint: ClassVar[str] = ""
    exit_code: ClassVar[int] = EXIT_FAILED
    retryable: ClassVar[bool] = False
    """Somebody may fix it while `run` waits."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(f"{self.sentence} {self.hint}".strip().format(**facts))


class WrongUsage(Fatal):
    """Options that contradict each other."""

    sentence = "{what}."
    hint = "{remedy}."
    exit_code = EXIT_USAGE


class Unreachable(Fatal):
    """No connection, or no answer in time."""

    retryable = True
    sentence = "No answer from the server at {url} ({reason})."
    hint = "Is it running, and is --elasticsearch-url (INDEXER_ELASTICSEARCH_URL) its address?"


class NotSecure(Fatal):
    """No trusted TLS connection; nothing was sent."""

    retryable = True
    sentence = "No secure connection to the server at {url}: {reason}."
    hint = "{remedy}."


class Unexpected(Fatal):
    """A status without an error of its own."""

    sentence = "{product} at {url} answers {status}: {reason}."
    hint = "See its log."


class Unavailable(Unexpected):
    """429 or 5xx: overloaded, starting, without a master, or a proxy without a server."""

    retryable = True
    hint = "It may be temporary; see its health and its log."


class Refused(Fatal):
    """403."""

    retryable = True
    sentence = "{product} at {url} refuses {who}: {reason}."
    hint = "`indexer template roles` prints a role for each task."


class Unauthenticated(Refused):
    """401."""

    sentence = "{product} at {url} does not accept {who}: {reason}."
    hint = "{remedy}."


class Blocked(Fatal):
    """403 for every user: changes are blocked, in the cluster or in an index."""

    retryable = True
    sentence = "{product} at {url} takes no such change: {reason}."
    hint = "A full disk sets such a block, or an administrator: see GET _cluster/settings and the settings of the index."


class UnknownProduct(Fatal):
    """A proxy's page, a redirect or another product."""

    retryable = True
    sentence = "What answers at {url} is neither Elasticsearch nor OpenSearch ({reason})."
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
    """An index has the name of the alias."""

    retryable = True
    sentence = "{alias!r} on {url} is an index, and has to be an alias."
    hint = "Reindex or delete that index, then run `indexer template install`."


class NoSuchLog(Fatal):
    """No log file at that path."""

    sentence = "No log file at {path}."
    hint = "Give a file, a glob, or a directory that contains *activity*.log* files."


class Unreadable(Fatal):
    """One or more files cannot be read, or are corrupt."""

    sentence = "Cannot read {files}."
    hint = "Fix that and run the same command again; nothing is lost."


class StateUnusable(Fatal):
    """The checkpoint cannot be stored there."""

    sentence = "Cannot use the state directory {path}: {reason}."
    hint = "Give a writable directory with --state-dir (INDEXER_STATE_DIR)."


class StateInUse(Fatal):
    """Another indexer uses the state directory."""

    sentence = "The state directory {path} is in use by {holder}."
    hint = "Stop that indexer, or give this one another directory with --state-dir."


class Stopped(Fatal):
    """SIGINT or SIGTERM before the end of a command."""

    sentence = "Stopped before the end."
    hint = "Run the same command again to continue."


class EmbeddedFailed(Fatal):
    """The server or its Java runtime could not be downloaded, or the server stopped while starting."""

    sentence = "The embedded server did not start: {reason}."
    hint = "{hint}"
