"""What is installed, and how it differs from what `indexer template install` would install."""

from collections.abc import Iterable
from dataclasses import dataclass

from indexer.elastic.alias import write_index
from indexer.elastic.cluster import Cluster
from indexer.setup.compare import Difference, leaves
from indexer.setup.plan import Body, Kind
from indexer.setup.templates import Step
from indexer.show import Cell, Table


@dataclass(frozen=True, slots=True)
class Thing:
    """A policy, template or index of the plan."""

    kind: Kind
    name: str
    state: str
    """installed, missing, or foreign (not installed by this program)."""
    version: int | None
    """Of the file in mappings/; None without one."""
    body: Body | None
    """As the server returns it."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is installed."""

    server: str
    alias: str
    write_index: str | None
    things: tuple[Thing, ...]

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows = tuple((str(it.kind), it.name, it.version, it.state) for it in self.things)
        title = f"{self.server}, alias {self.alias}, write index {self.write_index or '(none)'}"
        yield Table(title, ("What", "Name", "Version", "State"), rows, "")
        for it in self.things:
            if it.body:
                fields = tuple((_short(path), value) for path, value in sorted(leaves(it.body).items()))
                yield Table(f"{it.kind} {it.name}", ("Field", "Value"), fields, "")


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that is missing or differs."""

    what: str
    missing: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `indexer template install` with the same options would change."""

    deviations: tuple[Deviation, ...]

    @property
    def equal(self) -> bool:
        """It would change nothing."""
        return not self.deviations

    def tables(self) -> Iterable[Table]:
        """For people to read."""
        rows: list[tuple[Cell, ...]] = []
        for it in self.deviations:
            if it.missing:
                rows += [(it.what, "(missing)", None, None)]
            rows += [(it.what, each.path, each.installed, each.shipped) for each in it.differences]
        nothing = "None: `indexer template install` with these options would change nothing."
        yield Table("Differences", ("What", "Field", "Installed", "To be installed"), tuple(rows), nothing)


def inventory(cluster: Cluster, steps: Iterable[Step]) -> Inventory:
    """List what is installed. Raises AliasIsIndex, NoWriteIndex and what the client raises."""
    things = tuple(_thing(step) for step in steps)
    return Inventory(str(cluster.server), cluster.alias, write_index(cluster), things)


def compare(steps: Iterable[Step]) -> Comparison:
    """What differs from the plan."""
    return Comparison(
        tuple(Deviation(step.request.what, step.held is None, step.changes) for step in steps if step.needed)
    )


def _short(path: str) -> str:
    return path.removeprefix("template.").removeprefix("settings.").removeprefix("mappings.")


def _thing(step: Step) -> Thing:
    kind, held = step.request.kind, step.held
    state = "missing" if held is None else "foreign" if step.foreign else "installed"
    return Thing(kind, step.request.name, state, (held or {}).get("version"), held)
