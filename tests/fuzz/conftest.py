"""Fuzzing: foreign bytes raise no unexpected error. Some hundred examples a target, or as long as FUZZ_SECONDS says.

Each target takes bytes that are made of its corpus (tests/fuzz/corpus/), cut, doubled, joined and changed, or of nothing.
"""

import os
import time
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 0)
"""How long each target runs; 0 for one round."""
PROFILE = "fuzz"
settings.register_profile(
    PROFILE,
    max_examples=500 if SECONDS else 200,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let the profile be that of the tests of this directory alone: `given` reads it when a module is imported."""
    before = settings.get_current_profile_name()
    settings.load_profile(PROFILE)
    try:
        return (yield)
    finally:
        settings.load_profile(before)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Go through a target again and again, each time with other examples, until its time is over."""
    if not (SECONDS and getattr(pyfuncitem.obj, "is_hypothesis_test", False)):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    return True
