"""rsyslog from Debian's packages `rsyslog` and `rsyslog-elasticsearch`: imfile reads a log, omelasticsearch sends it.

Parameters as its documentation names them ("omelasticsearch", "imfile", "General Queue Parameters"); of 1, 2 and 4
workers and batches of 1,000 and 5,000 these were among the fastest (measured). It gives no ids, which spares the server
looking them up, and it does not end by itself.
"""

import shutil
from pathlib import Path

MODULES = Path("/usr/lib")

CONFIGURATION = """
global(workDirectory="{directory}" maxMessageSize="1m")
module(load="imfile")
module(load="omelasticsearch")
template(name="line" type="list") {{ property(name="msg") }}
ruleset(name="send" queue.type="LinkedList" queue.size="50000" queue.dequeueBatchSize="1000" queue.workerThreads="2") {{
    action(type="omelasticsearch" server="{host}" serverPort="{port}" template="line" bulkMode="on" maxBytes="5m"
           searchIndex="{index}" searchType="" esVersion.major="8" errorFile="{directory}/errors")
}}
input(type="imfile" file="{log}" tag="log" ruleset="send")
"""


def installed() -> bool:
    """Tell whether the program and the module are there."""
    return shutil.which("rsyslogd") is not None and any(MODULES.glob("**/rsyslog/omelasticsearch.so"))


def command(directory: Path, log: Path, host: str, port: int, index: str) -> list[str]:
    """Write a configuration and give the command; its process id will be in `directory`/pid."""
    configuration = directory / "rsyslog.conf"
    configuration.write_text(
        CONFIGURATION.format(directory=directory, host=host, port=port, index=index, log=log)
    )
    return ["rsyslogd", "-n", "-f", str(configuration), "-i", str(directory / "pid")]
