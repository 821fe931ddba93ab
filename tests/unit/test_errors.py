"""The errors a user can meet: each has its sentence, its hint and its exit code."""

import re
import string

import pytest

from indexer import errors
from indexer.errors import EXIT_FAILED, EXIT_REJECTED, EXIT_USAGE, Fatal
from indexer.settings import SecretUnusable

PASSING = {
    "AliasIsIndex",
    "Blocked",
    "NoWriteIndex",
    "UnknownProduct",
    "NotInstalled",
    "NotSecure",
    "Refused",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
}


def below(kind: type[Fatal]) -> list[type[Fatal]]:
    return [each for child in kind.__subclasses__() for each in (child, *below(child))]


KINDS = [kind for kind in below(Fatal) if kind.__module__.startswith("indexer.")]
OF_ERRORS = [kind for kind in KINDS if kind.__module__ == errors.__name__]


def facts(kind: type[Fatal]) -> dict[str, str]:
    """A fact for each name in its templates."""
    parts = string.Formatter().parse(kind.sentence + kind.hint)
    return {name: f"<{{{name}}}>" for _, name, _, _ in parts if name}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_a_sentence_with_a_cure(kind: type[Fatal]) -> None:
    """All facts are in it, as they are, braces and all; it is a sentence, and something can be done about it."""
    error = kind(**facts(kind))
    text = str(error)
    assert all(fact in text for fact in facts(kind).values())
    assert text[0].isupper() or text[0] in "<'"
    assert kind.sentence.endswith(".")
    assert kind.hint
    assert text == f"{kind.sentence} {kind.hint}".format(**facts(kind))
    assert error.facts == facts(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_ends_with_code_1_or_2(kind: type[Fatal]) -> None:
    """A failure is 1; 2 is wrong usage, 3 is for lines that were rejected."""
    assert kind.exit_code == (2 if kind is errors.WrongUsage else 1)
    assert (EXIT_FAILED, EXIT_USAGE, EXIT_REJECTED) == (1, 2, 3)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_command_waits_for_what_somebody_may_mend(kind: type[Fatal]) -> None:
    """Only what is wrong with the cluster may pass while `run` waits."""
    assert kind.retryable == (kind.__name__ in PASSING)


def test_any_other_failure_has_words_of_its_own() -> None:
    """Fatal alone takes its sentence as it is."""
    assert str(Fatal(what="Elasticsearch answers {418}.")) == "Elasticsearch answers {418}."


def test_a_fact_that_is_missing_is_a_bug() -> None:
    """An error is not made without its facts."""
    with pytest.raises(KeyError):
        errors.Unreachable(url="http://somewhere")


def test_the_module_draws_its_hierarchy() -> None:
    """Each error is in the table at the top, with the mark of those that `run` waits for."""
    table = re.findall(r"[├└]── (\w+) .*?(\(`run` waits for it\))?$", errors.__doc__ or "", re.MULTILINE)
    assert {(name, bool(waits)) for name, waits in table} == {
        (kind.__name__, kind.retryable) for kind in OF_ERRORS
    }
    assert SecretUnusable not in OF_ERRORS, "that one is the settings' own"
