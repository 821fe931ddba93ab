"""Every option once: its name, default, unit and help, in groups. The only package that reads the environment.

connection.py   Connection: Elasticsearch, and who we are there
running.py      State, Delivery, Monitoring: a run
indices.py      Ageing, Indices: the indices behind the alias
kibana.py       Kibana
zoomdata.py     Zoomdata, Reader
environment.py  secrets, and the other variables that are no options
commandline.py  spreads groups into the options of a command

A command takes whole groups (`connection: Connection`); `options` spreads their fields into its command line.
Each option is also the environment variable `INDEXER_` + its name in capitals. Secrets are never options: each comes
from a variable (`INDEXER_PASSWORD`) or from a file that an option names (`--password-file`), so that none shows in a
list of processes.
"""

from indexer.settings.commandline import options
from indexer.settings.connection import ALIAS_BYTES, DEFAULT_URL, PLAIN, Connection
from indexer.settings.environment import PREFIX, SecretUnusable, paths_in_environment, plain
from indexer.settings.indices import FOREVER, Indices, Lifecycle, RolloverPolicy, milliseconds
from indexer.settings.kibana import Kibana
from indexer.settings.running import (
    DEFAULT_PATH,
    MEBIBYTE,
    Delivery,
    LogLevel,
    Monitoring,
    State,
)
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
    "LogLevel",
    "Monitoring",
    "Reader",
    "RolloverPolicy",
    "SecretUnusable",
    "State",
    "Zoomdata",
    "milliseconds",
    "options",
    "paths_in_environment",
    "plain",
]
