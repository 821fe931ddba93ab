"""What harms where it is shown as it is: signs that steer a terminal, markup that a browser would obey, and a report full of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from indexer.dashboards.panels import Filters, Panel, Time
from indexer.report.queries import Period
from indexer.report.results import ReportData, Row
from indexer.report.sections import SavedSearch, Section

SIGNS = {
    "ESC": "\x1b[2J",
    "OSC": "\x1b]0;title\x07",
    "DCS": "\x1bP$q\x1b\\",
    "C1": "\x9b31m",
    "NEL": "\x85",
    "newline": "\nindexer: all is well",
    "return": "\rindexer: all is well",
    "backspace": "\b\b\b",
    "NUL": "\0",
    "bidi": "\u202egol.",
    "isolate": "\u2066x\u2069",
    "line separator": "\u2028",
    "zero width": "\u200b",
    "tag": "\U000e0041",
    "private use": "\ue000",
    "no character": "\ufffe",
    "undecodable": "\udc9b\udcff",
    "half a pair": "\ud83d",
}
FAR = "http://192.0.2.1/x"
"""An address that must not be asked."""
MARKUP = {
    "script": "</td></text></title><script>console.error(1)</script>",
    "end of a script": "</script><script>console.error(1)</script>",
    "svg": "<svg onload=console.error(1)><animate onbegin=console.error(1) attributeName=x dur=1s>",
    "svg in svg": "</text></g></svg><svg/onload=console.error(1)>",
    "foreign object": "<foreignObject><iframe srcdoc='<script>parent.console.error(1)</script>'></foreignObject>",
    "use": f"<use href='{FAR}#a' xlink:href='{FAR}#a'/>",
    "end of a style": "</style><style>*{display:none!important}</style>",
    "style": ";}*{display:none!important;background:url(" + FAR + ")",
    "style in an attribute": f'" style="display:none;background:url({FAR})" x="',
    "handler": '" onmouseover="console.error(1)" autofocus onfocus="console.error(1)" \'',
    "link": "javascript:console.error(1)",
    "link of its own": "<a href='javascript:console.error(1)' id=clicked>x</a>",
    "picture": f"<img src='{FAR}' onerror=console.error(1)>",
    "refresh": f"<meta http-equiv=refresh content='0;url={FAR}'>",
    "base": f"<base href='{FAR}'><link rel=stylesheet href='{FAR}'>",
    "comment": "--><script>console.error(1)</script><!--",
    "CDATA": "]]><script>console.error(1)</script><![CDATA[",
    "entities": "&lt;script&gt;console.error(1)&lt;/script&gt;&#60;img src=x onerror=console.error(1)&#62;&quot;",
    "UTF-7": "+ADw-script+AD4-console.error(1)+ADw-/script+AD4-",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}{#",
    "expression": "'];console.error(1);//' + datum['at'] + format(1,'~s')",
    "backslashes": "\\\\'\\\"",
    "textarea": "<textarea><noscript><plaintext>",
}

END = datetime(2026, 5, 11, 6, 30, tzinfo=UTC)


def report_of(
    names: Sequence[str], sections: Sequence[Section], alias: str = "zoomdata-activity"
) -> ReportData:
    """What would have been found of a log in which each value is one of these names: each name in each panel and listing."""
    rows: dict[tuple[str, str], Sequence[Row]] = {}
    for section in sections:
        for panel in section.panels:
            rows[section.id, panel.id] = [_counted(panel, name, other) for name, other in _pairs(names)]
        for search in section.saved_searches:
            rows[section.id, search.id] = [_listed(search, name) for name in names]
    hits = {it.id: len(names) for section in sections for it in section.saved_searches}
    return ReportData(alias, Period(END - timedelta(days=7), END), len(names), rows, hits, {}, {})


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    others = cycle([*names[1:], *names[:1]])
    return [(name, next(others)) for name in names]


def _counted(panel: Panel, *names: str) -> Row:
    keys: list[Any] = []
    free = cycle(names)
    for _, bucket in panel.nested_buckets:
        match bucket:
            case Time():
                keys.append(round((END - timedelta(days=2)).timestamp() * 1000))
            case Filters():
                keys.append(next(iter(bucket.queries)))
            case _:
                keys.append(next(free))
    return (*keys, *(2.0 for _ in panel.show))


def _listed(search: SavedSearch, name: str) -> Row:
    return (END - timedelta(hours=1), *(name for _ in search.columns))
