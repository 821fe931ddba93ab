"""Logs that real logback writes and rolls, by each of its policies, while they are followed: each entry once."""

from pathlib import Path

import pytest

from indexer.demo.installation import prepare
from tests.support.lab import LOG, Lab
from tests.support.writers.followed import KILLS, Course, Writer, follow
from tests.support.writers.logback import VERSIONS, class_path

CONFIGURATION = """
<configuration>
  <appender name="log" class="ch.qos.logback.core.rolling.RollingFileAppender">
    {appender}
    <encoder><charset>UTF-8</charset><pattern>%msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="log"/></root>
</configuration>
"""
FILE = "<file>{log}</file>"
POLICY = '<rollingPolicy class="ch.qos.logback.core.rolling.{name}">{how}</rollingPolicy>'
WINDOW = (
    FILE
    + POLICY.format(
        name="FixedWindowRollingPolicy",
        how="<minIndex>1</minIndex><maxIndex>20</maxIndex><fileNamePattern>{log}.%i{suffix}</fileNamePattern>",
    )
    + '<triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">'
    "<maxFileSize>20KB</maxFileSize>{check}</triggeringPolicy>"
)
SIZE_AND_TIME = FILE + POLICY.format(
    name="SizeAndTimeBasedRollingPolicy",
    how="<maxFileSize>20KB</maxFileSize>{check}"
    "<fileNamePattern>{log}.%d{{yyyy-MM-dd_HH-mm}}.%i{suffix}</fileNamePattern>",
)
TIME = POLICY.format(
    name="TimeBasedRollingPolicy",
    how="<fileNamePattern>{log}.%d{{yyyy-MM-dd_HH-mm-ss}}{suffix}</fileNamePattern>",
)
POLICIES = {
    "fixed window": (WINDOW, ""),
    "fixed window, gz": (WINDOW, ".gz"),
    "size and time, gz": (SIZE_AND_TIME, ".gz"),
    "time": (FILE + TIME, ""),
    "time, gz": (FILE + TIME, ".gz"),
    "prudent": ("<prudent>true</prudent>" + TIME, ""),
}
CHECK = {"1.2": "", "1.5": "<checkIncrement>50 milliseconds</checkIncrement>"}
"""How often sizes are looked at: 1.2 adapts that to how much is logged, 1.5 does it once a minute unless told."""
COUNT = 2400
"""Entries of each program, of 150 bytes on average."""
PAUSE = 1500
"""Microseconds after each."""
AHEAD = 1200
"""Less than half of what a window of twenty files holds."""


def writer(lab: Lab, java: Path, version: str, policy: str, name: str) -> Writer:
    """A program that logs by a policy, in a directory of its version's own."""
    logs = lab.logs / version
    logs.mkdir(exist_ok=True)
    template, suffix = POLICIES[policy]
    appender = template.format(log=logs / LOG, suffix=suffix, check=CHECK[version])
    configuration = lab.logs.parent / f"{version}.xml"
    configuration.write_text(CONFIGURATION.format(appender=appender))
    record = lab.logs.parent / f"{version}-{name}.written"
    options = ("-XX:TieredStopAtLevel=1", "-Xmx64m", "-classpath", class_path(version, java))
    by = f"{version}-{name}"
    return Writer([java / "bin" / "java", *options, "Writer", configuration, record, by, str(PAUSE)], record)


@pytest.fixture(scope="session")
def java(elasticsearch_version: str) -> Path:
    """The Java that the server runs on."""
    return prepare(elasticsearch_version).java


@pytest.mark.parametrize("kills", [0, KILLS], ids=["to the end", "killed"])
@pytest.mark.parametrize("policy", POLICIES)
def test_what_logback_logs_is_indexed_once(lab: Lab, java: Path, policy: str, kills: int) -> None:
    """Whatever both versions rename, compress and delete; in prudent mode, two programs write to one log."""
    names = ["a", "b"] if policy == "prudent" else ["a"]
    writers = [writer(lab, java, version, policy, name) for version in VERSIONS for name in names]
    count = COUNT // len(names)
    follow(lab, writers, Course(count, AHEAD if "window" in policy else count, kills))
    for version in VERSIONS:
        rolled = [path.name for path in (lab.logs / version).glob("*.log.*")]
        assert len(rolled) > 2
        assert all(name.endswith(POLICIES[policy][1]) for name in rolled), rolled
