"""A fixture for pytest: `def test_real(shatterlab_audit): shatterlab_audit(model, data)` fails where the score is not real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shatterlab.studies.audit import Audit

FAIL_IF = ("p > 0.05", "duplicates > 0", "leaks > 0")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "shatterlab(fail_if, **options): conditions under which `shatterlab_audit` fails, and options of `shatterlab.audit`")


@pytest.fixture
def shatterlab_audit(request: pytest.FixtureRequest) -> Callable[..., Audit]:
    """A function that audits a model and fails the test where a condition holds.

    It takes what `shatterlab.audit` takes, and `fail_if`, conditions such as "p > 0.01". `@pytest.mark.shatterlab(fail_if=[...], quick=True)` sets both for
    a test. Without conditions: p > 0.05, test examples that are training examples too, columns that alone give the label.
    """
    marker = request.node.get_closest_marker("shatterlab")
    marked = dict(marker.kwargs) if marker else {}

    def audited(model: Any = None, data: Any = None, *, fail_if: Sequence[str] | None = None, **options: Any) -> Audit:
        from shatterlab.studies.audit import audit
        from shatterlab.studies.gate import Condition, gate

        named = marked.pop("fail_if", FAIL_IF)
        conditions = [Condition.of(condition) for condition in (named if fail_if is None else fail_if)]
        result = audit(model, data, **{"tell": None} | marked | options)
        failed = [outcome.text for outcome in gate(result, conditions) if outcome.failed]
        if failed:
            pytest.fail("\n".join([*failed, "", result.verdict]), pytrace=False)
        return result

    return audited
