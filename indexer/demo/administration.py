"""Activities of administrators in the sample log: sources, users, groups, accounts, keys and tokens.

Fields and statuses are those of the vendor's "Activities Log Reference Sheet", except DASHBOARD_SHARE, which is in no documentation:
an unknown type must be indexed too.
"""

from random import Random

import orjson

from indexer.demo.activities import HOUR, LONG_DESCRIPTION, MINUTES, Event, Fields, date
from indexer.demo.company import ACCOUNT, PEOPLE, VISUALS, Person, Source, identifier

TENANTS = ("company", "Café Zürich GmbH", "子会社")
TWO_YEARS = 2 * 365 * 24 * HOUR


def save_source(random: Random, moment: int, who: Person) -> list[Event]:
    """Change a source."""
    source = random.choice(VISUALS).source
    fields = source_fields(source)
    if random.random() < LONG_DESCRIPTION:
        fields |= {"sourceDescription": MINUTES}
    return [(moment, who, "SOURCE", random.choice(("SAVED", "UPDATED")), fields)]


def source_fields(source: Source) -> Fields:
    """The fields of SOURCE entries."""
    fields = [{"name": f"field_{n}", "type": "ATTRIBUTE", "visible": n % 5 > 0} for n in range(40)]
    whole = {"id": source.id, "storage": source.storage, "collection": source.collection, "fields": fields}
    return {
        "sourceId": source.id,
        "sourceName": source.name,
        "streamType": "API",
        "storageType": source.storage,
        "sourceAsString": orjson.dumps(whole).decode(),
        "sourceDescription": f"Owned by {source.schema}; ask before you change it",
    }


def update_user(random: Random, moment: int, who: Person) -> list[Event]:
    """Change or create a user."""
    status = random.choices(("UPDATED", "CREATED"), (4, 1))[0]
    return [(moment, who, "USER", status, user_fields(random.choice(PEOPLE)))]


def user_fields(person: Person) -> Fields:
    """The fields of USER entries."""
    return {
        "userID": person.number,
        "userName": person.login,
        "userFullName": person.name,
        "email": f"{person.login}@example.com",
        "subjectUserGroups": person.common["userGroups"],
        "subjectUserRoles": person.common["userRoles"],
        "userOrigin": "NATIVE",
        "accounts": [ACCOUNT],
    }


def update_group(random: Random, moment: int, who: Person) -> list[Event]:
    """Change a group of users."""
    label = random.choice(PEOPLE).common["userGroups"][0]
    fields = {
        "groupId": identifier(Random(label)),  # noqa: S311 - the same id for the same group
        "label": label,
        "description": f"Everybody in {label}",
        "groupRoles": ["ROLE_VIEW_DASHBOARDS"],
    }
    return [(moment, who, "GROUP", "UPDATED", fields)]


def update_account(random: Random, moment: int, who: Person) -> list[Event]:
    """Change a tenant."""
    return [(moment, who, "ACCOUNT", "UPDATED", account_fields(random.choice(TENANTS), moment, who))]


def account_fields(name: str, moment: int, who: Person) -> Fields:
    """The fields of ACCOUNT entries."""
    return {
        "name": name,
        "createdBy": "supervisor",
        "createdDate": date(moment - TWO_YEARS),
        "lastModifiedBy": who.login,
        "disabled": False,
    }


def share_by_key(random: Random, moment: int, who: Person) -> list[Event]:
    """Share a dashboard by a security key."""
    fields = {
        "keyId": identifier(random),
        "created": date(moment),
        "expire": date(moment + TWO_YEARS),
        "description": "for partners",
        "keyType": "DASHBOARD",
        "objectIds": [visual.dashboard for visual in random.sample(VISUALS, 2)],
    }
    return [(moment, who, "SECURITY_KEY", "CREATED", fields)]


def register_client(random: Random, moment: int, who: Person) -> list[Event]:
    """Change an OAuth client."""
    fields = {
        "clientId": "nightly-report",
        "clientName": "Nightly report",
        "autoApprove": random.random() < 0.5,
    }
    return [(moment, who, "OAUTH_CLIENT", "UPDATED", fields)]


def grant_token(random: Random, moment: int, who: Person) -> list[Event]:
    """Create an OAuth token."""
    fields = {
        "tokenId": identifier(random),
        "clientId": "nightly-report",
        "tokenUsername": who.login,
        "tokenAccountID": ACCOUNT,
    }
    return [(moment, who, "OAUTH_TOKEN", "CREATED", fields)]


def share_dashboard(random: Random, moment: int, who: Person) -> list[Event]:
    """Share a dashboard: an undocumented type with undocumented fields, as of a later version."""
    fields = {
        "dashboard": {"id": random.choice(VISUALS).dashboard, "zoom": random.randrange(50, 150) / 100},
        "sharedWith": [{"user": random.choice(PEOPLE).login, "canEdit": random.random() < 0.2}],
        "note": None,
    }
    return [(moment, who, "DASHBOARD_SHARE", "SUCCEEDED", fields)]
