"""Every reading command, as a user runs it, on one index that holds all that logs were ever seen to hold."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from indexer.demo.profiles import Profile
from indexer.demo.sample import entries
from tests.integration.test_hazards import MAPPING, READING
from tests.support.lab import Lab, joined

SHOWN = (
    "activityType", "status", "user", "userName", "ip", "name", "sourceName", "visualizationName", "label", "cid",
    "storageType", "exportType", "location", "fileName", "uri",
)  # fmt: skip
"""Fields whose texts the commands show."""
TEXTS = (
    r"\u0001", r"\u0000", r"\u0008\u007f\u0085", r"\ud83d", r"\ude00x", r"\ufffe\uffff", r"\u001b[31m", r"\u202eabc",
    r"\u2028", "[red]", "<script>&amp;</script>", "", " ", r"\r\n\t", "😀" * 300, "山" * 1000, "e" + "\u0301" * 500,
)  # fmt: skip
DATES: tuple[object, ...] = (
    -(2**63), -(2**63) + 1, -(10**18), -(10**16), -99999999999999, -62135596800001, -1, 0, 1, 253402300799999,
    253402300800000, 10**16, 31556889864403199, 10**18, 2**63 - 1, 2**63, 1e308, 1e-5, "-9999-01-01", "0000-01-01",
    "0001-01-01 00:00:00.000", "9999-12-31 23:59:59.999", "+292278994-08-17", "+999999999-12-31", "2026-02-30 00:00:00.000",
    "", None, True, [], [1, "x"], {}, {"at": 1},
)  # fmt: skip
NUMBERS = (
    "1e308", "-1e308", "1.7976931348623157e308", "1e309", "5e-324", "-0.0", "-5", "0.5", "9007199254740993", f"{2**64}",
    '"n/a"', '"12"', '"1e308"', "true", "null", "[]", "[1,2,3]", "{}", '"NaN"', '"Infinity"',
)  # fmt: skip
MEASURES = ("duration", "count", "requestSize", "requestTime", "responseCode", "responseSize", "filesize")
KEYS = (
    r"x\ud83d", r"\ude00", r"a\u0000b", r"\u001b[31m", "😀", "a b", r"a\"b", r"back\\slash", "{x}", "%s", "k" * 500,
)  # fmt: skip
COUNTS = ("1000000", "2147483647", "1", "0", "-1", "1.5", '"x"', "{}", "[1]")
METADATA = ("_index", "_ignored", "_field_names", "_routing", "_type", "_tier", "_seq_no", "_nested_path")
NOW = datetime.now(UTC)


def _odd_entries() -> list[bytes]:
    """What a server takes, or refuses: each odd value in each field that is shown, in entries that are."""
    now = f'"eventDate":"{NOW:%Y-%m-%d %H:%M:%S}"'
    failed = '"activityType":"AUTHENTICATION","status":"FAILED"'
    deleted = '"activityType":"USER","status":"DELETED"'
    slow = '"activityType":"VIS_COMMAND","status":"FINISHED","duration":7'
    lines = [f'{{{now},"{field}":"{text}"}}' for text in TEXTS for field in SHOWN]
    lines += [
        f'{{{now},{it},"{field}":"{text}"}}'
        for it in (failed, deleted)
        for text in TEXTS
        for field in SHOWN[2:]
    ]
    lines += [
        f'{{{now},"activityType":"{kind}","status":"FINISHED","{field}":{number}}}'
        for number in NUMBERS
        for field in MEASURES
        for kind in ("VIS_COMMAND", "RDD", "REQUEST", "RAW_DATA_EXPORT_CSV", "UPLOAD")
    ]
    lines += [f'{{{now},"activityType":"VIS_DATA","{key}":1}}' for key in KEYS]
    lines += [
        f'{{"eventDate":{orjson.dumps(date).decode()},{it},"user":"ann"}}'
        for date in DATES
        for it in (failed, deleted, slow)
    ]
    lines += [f'{{{now},"activityType":"VIS","_doc_count":{many}}}' for many in COUNTS]
    lines += [f'{{"{field}":{value}}}' for field in METADATA for value in ('"x"', "1", "{}")]
    return [line.encode() for line in lines]


READING_COMMANDS = (
    ["summary"],
    ["status"],
    ["check"],
    ["template", "show"],
    ["template", "diff"],
    ["template", "views", "--dry-run"],
    ["template", "install", "--dry-run"],
    ["template", "rollover", "--dry-run"],
    ["rejected", "list", "--limit", "10000"],
)
PERIODS = (
    ["--last", "7d"],
    ["--from", "0001-01-01", "--to", "9999-12-31"],
    ["--from", "1970-01-01", "--to", "1970-01-02"],
)
KNOWN = ("AUTHENTICATION", "SOURCE", "VIS", "VIS_COMMAND", "VIS_DATA", "RDD", "REQUEST", "USER")


def test_reading_commands_read_whatever_is_there(lab: Lab, tmp_path: Path) -> None:
    """None ends in a traceback, or with an error that is the data's; what they count is what is there."""
    hazards = [line for one in (*READING.values(), *MAPPING.values()) for line in one.lines]
    log = lab.log(joined([*hazards, *_odd_entries(), *entries(300, end=NOW, profile=Profile.ZOOMDATA_2)]))
    totals = lab.run(log).totals
    lab.client.indices.refresh(index=f"{lab.connection.alias}*")

    reports = [
        ["report", "--out", str(tmp_path / f"{at}.html"), *period] for at, period in enumerate(PERIODS)
    ]
    told: dict[str, str] = {}
    failed: dict[str, str] = {}
    for arguments in (*READING_COMMANDS, *reports, *([*it, "--json"] for it in READING_COMMANDS)):
        name = " ".join(arguments).replace(str(tmp_path), "")
        done = lab.command(*arguments, *([str(log)] if arguments[0] in {"status", "check"} else []))
        told[name] = done.stdout
        if done.returncode or "Traceback" in done.stderr:
            failed[name] = f"{done.returncode}: {done.stderr[-1500:]} {done.stdout[-500:]}"
    assert failed == {}

    def counted(**query: Any) -> int:
        """Documents, by a way of their own: no aggregation."""
        return int(lab.client.count(index=lab.connection.alias, query=query)["count"])

    answers = {name: orjson.loads(out) for name, out in told.items() if name.endswith("--json")}
    by_type = {kind: counted(term={"activityType": kind}) for kind in KNOWN}
    summary, status, check = (answers[f"{name} --json"] for name in ("summary", "status", "check"))
    assert summary["entries"] == totals.created
    rows = {row["value"]: row["entries"] for row in summary["by_type"]}
    assert {kind: rows[kind] for kind in KNOWN} == by_type
    failures = {"filter": [{"term": {"activityType": "AUTHENTICATION"}}, {"term": {"status": "FAILED"}}]}
    assert summary["failed"] == counted(bool=failures)
    assert summary["deleted"] == counted(term={"status": "DELETED"})
    assert (summary["first"][:4], summary["last"][:4]) == ("0001", "9999")
    assert max(row["max_ms"] for row in summary["durations"]) == 1.7976931348623157e308
    assert [(it["entries"], it["unsearchable"]) for it in status["indices"]] == [(totals.created, 0)]
    assert (
        status["rejected"] == totals.rejected == len(answers["rejected list --limit 10000 --json"]["lines"])
    )
    assert status["ignored"]["entries"] == counted(exists={"field": "_ignored"})
    assert not [finding for finding in check["findings"] if finding["state"] == "wrong"]
    views = orjson.loads(lab.command("template", "views", "--json").stdout)
    entries_of = {view["type"]: view["entries"] for view in views["views"]}
    assert {kind: entries_of[kind] for kind in KNOWN} == by_type
    assert sum(entries_of.values()) + sum(it["entries"] for it in views["without"]) == counted(
        exists={"field": "activityType"}
    )
    times = {"range": {"eventDate": {"gte": "0001-01-01", "lte": "9999-12-31"}}}
    dated = counted(**times)
    assert f"{dated:,} entries" in told[" ".join(reports[1]).replace(str(tmp_path), "")]
    page = (tmp_path / "1.html").read_text()
    figures = dict(re.findall(r'<li id="([\w-]+)"><b [^>]*data-v="(\d+)"', page))
    assert int(figures["audit-deleted"]) == counted(bool={"filter": [times, {"term": {"status": "DELETED"}}]})
    assert int(figures["audit-failed"]) == counted(bool={"filter": [times, *failures["filter"]]})
    assert not [sign for sign in page if not (sign.isprintable() or sign == "\n")]
