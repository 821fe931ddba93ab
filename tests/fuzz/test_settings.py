"""Settings from an environment of any text: they are valid, or the command fails with a sentence and exit code 1 or 2."""

import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from indexer.elastic.client import connect, display_url, translate
from indexer.elastic.credentials import identity_of, remedy
from indexer.errors import Fatal, Unreachable
from indexer.kibana.api import Api as KibanaApi
from indexer.settings import (
    PREFIX,
    Connection,
    Delivery,
    Indices,
    Kibana,
    Monitoring,
    Reader,
    State,
    Zoomdata,
    options,
    paths_in_environment,
)
from indexer.zoomdata.api import Api as ZoomdataApi

SECRETS = (
    "PASSWORD",
    "API_KEY",
    "BEARER_TOKEN",
    "CLIENT_KEY_PASSWORD",
    "ZOOMDATA_PASSWORD",
    "READER_PASSWORD",
)
GROUPS = (Connection, State, Delivery, Monitoring, Indices, Kibana, Zoomdata, Reader)
NAMES = [PREFIX + item.name.upper() for group in GROUPS for item in fields(group)]
NAMES += [PREFIX + name for name in (*SECRETS, "PATHS")]
WORDS = [
    "http://localhost:9200", "https://u:p@[::1]:9200/a b", "http://host:99999", "http://[", "//", "http://\u00df:1", "ftp://x",
    "1", "-1", "0", "1e400", "nan", "inf", "9" * 5000, "1_000", "\u0661", "0x10", "1.5", "true", "", " ", "\t", "\n",
    "'", '"', "\\", "30d", "999999999d", "forever", "50gb", "auto", "none",
    "127.0.0.1:9464", "[::]:0", "[:]:1", ":1", "a:\u0661", "info",
    "~", "~nobody/x", "/dev/null", "/proc/self/mem", "/", "/etc/shadow", ".", "/nowhere/x", "a" * 5000, "name:Y2xvdWQ=",
    "*", "a,b", "../_all", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
    "\x1b[2J", "\u202e", "ab" * 32,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=8), min_size=1, max_size=3).map("".join)
VALUES = TEXTS.map(
    lambda text: text.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
)


@st.composite
def environments(draw: st.DrawFn) -> dict[str, str]:
    """A few variables, with nearly what they may hold."""
    return draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS) | VALUES, max_size=4))


@options
def use(
    connection: Connection,
    state: State,
    delivery: Delivery,
    monitoring: Monitoring,
    indices: Indices,
    kibana: Kibana,
    zoomdata: Zoomdata,
    reader: Reader,
) -> None:
    """As the commands do, each on its own; nothing is sent."""
    assert isinstance(state.state_dir, Path)
    assert delivery.batch_bytes > 0
    for make in (
        lambda: connect(connection).close(),
        lambda: KibanaApi(connection, kibana),
        lambda: ZoomdataApi(zoomdata),
        lambda: reader.reader_password,
        lambda: indices.retained,
        paths_in_environment,
    ):
        with suppress(Fatal, typer.BadParameter):
            make()
    told = [
        display_url(connection),
        identity_of(connection),
        remedy(connection),
        monitoring.monitoring_address or "",
    ]
    assert all(isinstance(text, str) for text in told)
    assert str(translate(Unreachable(url=display_url(connection), reason="r"), connection))


APP = typer.Typer()
APP.command()(use)
COMMAND = get_command(APP)


@given(environments())
def test_settings_make_sense_or_are_a_sentence(environment: dict[str, str]) -> None:
    """What is made of them at the start of each command raises nothing but what becomes a sentence."""
    before = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(PREFIX)}
    os.environ.update(environment)
    try:
        code = ended()
    finally:
        for name in environment:
            os.environ.pop(name, None)
        os.environ.update(before)
    assert code in {0, 1, 2}


def ended() -> object:
    """The exit code of a command that makes of its settings what all commands do."""
    try:
        COMMAND.main([], prog_name="indexer")
    except Fatal as error:
        return error.exit_code
    except SystemExit as end:
        return end.code
    return None
