"""The pytest plugin of rolloutlog: the fixture `rollout`.

A module of its own, outside the package, because pytest imports its plugins at every start: a test run that does not
use the fixture does not wait for rolloutlog to be imported, and a run that measures its coverage misses no line.
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
    """What the code under test logs (INFO and above) and records with rolloutlog, in a temporary home.

    A `rolloutlog.testing.Rollout`: its `items` and `logs` are what was logged, its `sessions` what the code recorded by
    itself. When the test fails, the report says where the files are.
    """
    from rolloutlog.testing import recording

    with recording(tmp_path_factory.mktemp("rollout")) as rollout:
        request.node.stash[_ROLLOUT] = rollout
        yield rollout


# Not by `wrapper=True`, which is nicer, and which a pytest before 8 takes for an error: of whoever has us installed.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add to the report of a failed test where its rollouts are."""
    outcome = yield
    report = outcome.get_result()
    rollout = item.stash.get(_ROLLOUT, None)
    if not report.failed or rollout is None:
        return
    # Beside the error itself, where it is shown, and in JUnit's XML, whatever becomes of captured output.
    if hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection("Rollouts", rollout.report())
    else:
        report.sections.append(("Rollouts", rollout.report()))
