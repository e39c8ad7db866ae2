"""The pytest plugin of rolloutlog: the fixture `rollout`.

This module is outside the package because pytest imports its plugins at every start: a test run that does not use the
fixture does not wait for the import of rolloutlog, and a run that measures its coverage misses no line.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rolloutlog.testing import Rollout

_ROLLOUT = pytest.StashKey["Rollout"]()


@pytest.fixture
def rollout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rollout]:
    """Record what the code under test logs (INFO and above) and records with rolloutlog, in a temporary home.

    The value is a `rolloutlog.testing.Rollout`: `items` and `logs` have everything logged, `sessions` the sessions that
    the code recorded itself. If the test fails, its report says where the files are.
    """
    from rolloutlog.testing import recording

    with recording(tmp_path_factory.mktemp("rollout")) as rollout:
        request.node.stash[_ROLLOUT] = rollout
        yield rollout


# Not `wrapper=True`: a pytest before 8 reports it as an error, to every user who has rolloutlog installed.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add the paths of its rollouts to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    rollout = item.stash.get(_ROLLOUT, None)
    if not report.failed or rollout is None:
        return
    # Next to the error, where pytest and JUnit's XML show it even if captured output is not shown.
    if hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection("Rollouts", rollout.report())
    else:
        report.sections.append(("Rollouts", rollout.report()))
