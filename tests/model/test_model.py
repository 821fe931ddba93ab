"""Any history of logs, cluster and indexer ends with exactly one copy of every line."""

from hypothesis import HealthCheck, settings

from tests.model.machine import Machine

TestModel = Machine.TestCase
TestModel.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
