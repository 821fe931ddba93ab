"""The fictitious company of the sample log: people, sources and visualisations, the same for every seed."""

from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

ACCOUNT = "5cf1a2e7e4b0c38d90a1f001"
PROBING = 90.0
"""Weight of the load balancers in every hour. That of all people together is about 700 in the busiest hour."""
COLORS = [f"#{channel:02x}{255 - channel:02x}7f" for channel in range(0, 256, 8)]
ALWAYS = Random("company")  # noqa: S311 - the same company for every seed of a log


def identifier(random: Random) -> str:
    """An id as Zoomdata's: 24 hexadecimal digits."""
    return f"{random.getrandbits(96):024x}"


@dataclass(frozen=True, slots=True)
class Person:
    """A user: a person or a program. `utc_offset` in hours; `activity` is a weight relative to other users."""

    number: str
    login: str
    name: str
    utc_offset: float
    activity: float
    common: dict[str, Any]
    """The fields that each of their entries has."""
    keeps_hours: bool = True
    """Busy by day and idle at night and at weekends; else always alike."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data source."""

    id: str
    name: str
    storage: str
    median_ms: float
    schema: str
    collection: str
    time_field: str
    connection: str


@dataclass(frozen=True, slots=True)
class Visual:
    """A visualisation, with templates for the texts in its entries.

    `request` and `read` are JSON objects without the closing brace, `sql` contains `{where}`.
    """

    id: str
    name: str
    source: Source
    dashboard: str
    request: str
    sql: str
    read: str


# login | name | site | group, the most active first; the last three are deleted.
_PEOPLE = """
amelia.hart|Amelia Hart|London|Finance
priya.raman|Priya Raman|Bengaluru|Analytics
marcus.reed|Marcus Reed|New York|Sales
jürgen.müller|Jürgen Müller|Berlin|Operations
佐藤花子|佐藤 花子|Tokyo|Analytics
dana.whitfield|Dana Whitfield|New York|Administrators
joao.pereira|João Pereira|São Paulo|Sales
olena.shevchenko|Олена Шевченко|Berlin|Analytics
arjun.mehta|अर्जुन मेहता|Bengaluru|Operations
tomas.lindqvist|Tomas Lindqvist|Berlin|Finance
rachel.stein|Rachel Stein|New York|Finance
noa.levi|נועה לוי|Tel Aviv|Marketing
kwame.mensah|Kwame Mensah|London|Support
suzuki.ichiro|鈴木 一郎|Tokyo|Sales
luis.ortega|Luis Ortega|New York|Support
zoe.papadopoulou|Ζωή Παπαδοπούλου|Berlin|Marketing
siobhan.oneill|Siobhán O'Neill|London|Administrators
youssef.haddad|يوسف حداد|Tel Aviv|Operations
minji.kim|김민지|Tokyo|Marketing
beatriz.souza|Beatriz Souza|São Paulo|Support
owen.price|Owen Price|London|Sales
lakshmi.iyer|லட்சுமி ஐயர்|Bengaluru|Support
lukasz.wojcik|Łukasz Wójcik|Berlin|Support
grace.okafor|Grace Okafor|London|Marketing
tom.abara|Tom Abara|New York|Analytics
wang.xiaoming|王小明|Tokyo|Finance
ravi.kulkarni|Ravi Kulkarni|Bengaluru|Finance
helen.zhao|Helen Zhao|New York|Marketing
pedro.almeida|Pedro Almeida|São Paulo|Operations
nikos.manos|Νίκος Μάνος|Berlin|Sales
fatima.alami|فاطمة العلمي|London|Analytics
mehmet.yılmaz|Mehmet Yılmaz|Berlin|Operations
emma.dubois|Emma Dubois|London|Finance
eve.laurent|Ève Laurent|London|Finance
sam.fisher|Sam Fisher|New York|Sales
yuki.tanaka|田中 由紀|Tokyo|Support
"""
# site → UTC offset in hours, network; the last two are IPv6.
_SITES: dict[str, tuple[float, str]] = {
    "London": (1, "10.20.4."),
    "New York": (-4, "10.10.16."),
    "Bengaluru": (5.5, "10.40.2."),
    "São Paulo": (-3, "10.50.8."),
    "Tel Aviv": (3, "172.16.31."),
    "Berlin": (2, "2001:db8:49:30::"),
    "Tokyo": (9, "2001:db8:81:3:5eff:fe00:0:"),
}
_ROLES = {
    "Administrators": ["ROLE_ADMINISTER_USERS", "ROLE_ADMINISTER_SOURCES", "ROLE_VIEW_DASHBOARDS"],
    "Analytics": ["ROLE_CREATE_SOURCES", "ROLE_EDIT_CHARTS", "ROLE_EXPORT_DATA", "ROLE_VIEW_DASHBOARDS"],
    "Finance": ["ROLE_EXPORT_DATA", "ROLE_VIEW_DASHBOARDS"],
}
# name | storage | median ms | schema | collection | time field; the last three are unused.
_SOURCES = """
Sales Ledger|IMPALA|2100|sales|ledger_entries|booked_at
Web Clickstream|ELASTICSEARCH_7|380|web|clicks-2026|ts
Inventory|POSTGRESQL|160|warehouse|stock_levels|counted_at
IoT Telemetry|SPARK_SQL|3900|plant|telemetry_raw|measured_at
Support Tickets|MONGO|430|helpdesk|tickets|opened_at
Finance Actuals FY26|SNOWFLAKE|950|FINANCE|ACTUALS|POSTING_DATE
売上明細|ORACLE|720|JP_SALES|URIAGE|KEIJO_BI
HR Headcount|MYSQL|110|hr|headcount|valid_from
Churn Scores|REDSHIFT|640|ml|churn_scores|scored_at
Weather feed (pilot)|POSTGRESQL|90|pilot|weather|at
Copy of Sales Ledger|IMPALA|2100|sales|ledger_copy|booked_at
テスト|MYSQL|110|test|t1|at
"""
# name | source | groups | metric, the most viewed first.
_VISUALS = """
Revenue by region|Sales Ledger|region,product_line|revenue
Page views, last 24 h|Web Clickstream|page,device|views
Open tickets by priority|Support Tickets|priority,team|tickets
Stock below threshold|Inventory|warehouse,sku_group|units
Umsatz je Vertriebsgebiet|Sales Ledger|sales_area,channel|revenue
Line 4 vibration|IoT Telemetry|machine,sensor|amplitude
Actuals vs. plan|Finance Actuals FY26|cost_center,account|amount
売上トップ20|売上明細|product,prefecture|amount
Funnel: visit to order|Web Clickstream|step,campaign|sessions
Machine temperature map|IoT Telemetry|hall,machine|celsius
Churn risk by cohort|Churn Scores|cohort,plan|score
Headcount by office|HR Headcount|office,department|people
Время ответа поддержки|Support Tickets|team,weekday|minutes
Days of inventory|Inventory|category,warehouse|days
Quarter close checklist|Finance Actuals FY26|entity,step|amount
Margin waterfall|Sales Ledger|component,quarter|margin
"""


def _people() -> list[Person]:
    people = []
    for rank, line in enumerate(_PEOPLE.split("\n")[1:-1], 1):
        login, name, site, group = line.split("|")
        offset, network = _SITES[site]
        common = _common(login, f"{network}{rank + 20}", [group])
        people.append(Person(identifier(ALWAYS), login, name, offset, rank**-0.7, common))
    return people


def _common(login: str, ip: str, groups: list[str], user_type: str = "USER") -> dict[str, Any]:
    roles = sorted({role for group in groups for role in _ROLES.get(group, ["ROLE_VIEW_DASHBOARDS"])})
    return {
        "user": login,
        "userType": user_type,
        "accountId": ACCOUNT,
        "userGroups": groups,
        "userRoles": roles,
        "ip": ip,
    }


def _sources() -> dict[str, Source]:
    lines = [line.split("|") for line in _SOURCES.split("\n")[1:-1]]
    return {
        name: Source(
            identifier(ALWAYS),
            name,
            storage,
            float(median),
            schema,
            collection,
            time_field,
            identifier(ALWAYS),
        )
        for name, storage, median, schema, collection, time_field in lines
    }


def _visual(name: str, source: Source, groups: list[str], metric: str) -> Visual:
    number = identifier(ALWAYS)
    request = {
        "type": "START_VIS",
        "source": {
            "id": source.id,
            "name": source.name,
            "subStorageType": source.storage,
            "storageConfiguration": {
                "schema": source.schema,
                "collection": source.collection,
                "connectionId": source.connection,
            },
        },
        "visualization": {"id": number, "name": name, "type": "UBER_BARS", "live": False},
        "dimensions": [
            {"group": {"name": group, "limit": 50, "sort": {"dir": "desc", "name": "count"}}}
            for group in groups
        ],
        "metrics": [{"name": metric, "func": func} for func in ("sum", "avg", "max")],
        "controls": {
            f"{group}Picker": {"visible": True, "colors": COLORS, "labels": {"show": "auto", "rotate": 45}}
            for group in groups
        },
        "filters": [{"path": groups[0], "operation": "NOTIN", "value": ["(null)", "n/a", 'test "quoted"']}],
    }
    columns = ", ".join(groups)
    sql = (
        f"SELECT {columns},\n       COUNT(*) AS n, SUM({metric}) AS {metric}_sum, AVG({metric}) AS {metric}_avg\n"
        f"FROM {source.schema}.{source.collection}\nWHERE {{where}}\nGROUP BY {columns}\nORDER BY n DESC\nLIMIT 50"
    )
    read = {
        "collection": {"schema": source.schema, "name": source.collection},
        "fields": [
            {"name": group, "type": "ATTRIBUTE", "nullable": True, "cardinality": 50} for group in groups
        ],
        "aggregations": [
            {"field": metric, "function": func, "distinct": False} for func in ("SUM", "AVG", "MAX")
        ],
        "limits": {"rows": 50, "timeoutSeconds": 120, "preview": False, "offset": 0},
    }
    return Visual(number, name, source, identifier(ALWAYS), _opened(request), sql, _opened(read))


def _opened(document: dict[str, Any]) -> str:
    """A JSON object without its closing brace."""
    return orjson.dumps(document).decode()[:-1]


def _visuals() -> tuple[Visual, ...]:
    visuals = []
    for line in _VISUALS.split("\n")[1:-1]:
        name, source, groups, metric = line.split("|")
        visuals.append(_visual(name, SOURCES[source], groups.split(","), metric))
    return tuple(visuals)


def _rows(count: int) -> tuple[str, ...]:
    """Rows for query results, generated once because choosing is faster than generating."""
    places = ("EMEA", "AMER", "APAC", "DACH", "São Paulo", "関東", "कर्नाटक", "Київ", "Île-de-France")
    draw = ALWAYS
    return tuple(
        f'{{"group":["{draw.choice(places)}","{draw.choice("ABCDEFGH")}{draw.randrange(900)}"],"count":{draw.randrange(1, 90_000)},'
        f'"sum":{draw.lognormvariate(9, 2):.2f},"avg":{draw.random() * 100:.4f}}}'
        for _ in range(count)
    )


*PEOPLE, AUDITOR, SELLER, CLERK = _people()
ADMINISTRATORS = tuple(person for person in PEOPLE if "Administrators" in person.common["userGroups"])
PORTAL = Person(
    identifier(ALWAYS),
    "partner-portal",
    "Partner portal",
    0,
    0.4,
    _common("partner-portal", "203.0.113.77", [], "KEY"),
)
"""Users of a shared dashboard, by its security key."""
PROBE = Person(
    identifier(ALWAYS),
    "anonymousUser",
    "Load balancer",
    0,
    PROBING,
    _common("anonymousUser", "10.20.0.5", []),
    keeps_hours=False,
)
SOURCES = _sources()
UNUSED_SOURCES = tuple(SOURCES.values())[-3:]
LEDGER = SOURCES["Sales Ledger"]
VISUALS = _visuals()
ROWS = _rows(2000)
