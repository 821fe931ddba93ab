"""Every option once: its name, default, unit and help, in groups. The only package that reads the environment.

log_files.py    LogFiles: which log files to read
connection.py   Connection: Elasticsearch, and our credentials there
running.py      State, Delivery, Monitoring: a run
indices.py      RolloverPolicy, Indices: the indices behind the alias
seals.py        Seals: the key, and how often
kibana.py       Kibana
zoomdata.py     Zoomdata, Reader
environment.py  secrets, and other variables that are not options
commandline.py  turns groups into the options of a command

A command takes whole groups (`connection: Connection`); `options` turns their fields into its options. Each option can
also be set by the environment variable `INDEXER_` + its name in capitals. Secrets are never options, so that they do not
appear in a process list: each comes from a variable (`INDEXER_PASSWORD`) or from a file (`--password-file`).
"""

from indexer.settings.commandline import Panel, options
from indexer.settings.connection import ALIAS_BYTES, DEFAULT_URL, PLAIN, Connection
from indexer.settings.environment import PREFIX, SecretUnusable, paths_in_environment, plain
from indexer.settings.indices import FOREVER, Indices, Lifecycle, RolloverPolicy, milliseconds
from indexer.settings.kibana import Kibana
from indexer.settings.log_files import DEFAULT_PATH, LogFiles
from indexer.settings.running import (
    MEBIBYTE,
    Delivery,
    LogLevel,
    Monitoring,
    State,
)
from indexer.settings.seals import Seals
from indexer.settings.zoomdata import Reader, Zoomdata

__all__ = [
    "ALIAS_BYTES",
    "DEFAULT_PATH",
    "DEFAULT_URL",
    "FOREVER",
    "MEBIBYTE",
    "PLAIN",
    "PREFIX",
    "Connection",
    "Delivery",
    "Indices",
    "Kibana",
    "Lifecycle",
    "LogFiles",
    "LogLevel",
    "Monitoring",
    "Panel",
    "Reader",
    "RolloverPolicy",
    "Seals",
    "SecretUnusable",
    "State",
    "Zoomdata",
    "milliseconds",
    "options",
    "paths_in_environment",
    "plain",
]
