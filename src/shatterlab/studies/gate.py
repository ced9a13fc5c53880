"""Conditions under which an audit fails a build, and what they say of one."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from shatterlab.core.errors import InvalidPart, UnknownName, printable

if TYPE_CHECKING:
    from shatterlab.studies.audit import Audit

QUANTITIES = {
    "p": "the p-value of the permutation test",
    "score": "the mean test score on true labels",
    "baseline": "the test score of the constant answer",
    "gain": "the score minus the baseline",
    "memory": "the share of the training score above the baseline that permuted labels reach too",
    "failed": "trials that failed",
    "duplicates": "test examples that are training examples too",
    "leaks": "columns that alone give the label",
    "conflicts": "equal examples with different labels",
    "problems": "findings in the data that are errors or warnings",
}
_KINDS = {"duplicates": "equal across splits", "leaks": "one column gives the label", "conflicts": "equal with different labels"}
_OF_DATA = (*_KINDS, "problems")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_SPELLED = re.compile(r"\s*([A-Za-z_]+)\s*(>=|<=|==|!=|>|<)\s*([-+0-9.eE]+)\s*")


@dataclass(frozen=True)
class Condition:
    """A condition under which the gate fails.

    Args:
        name: one of `QUANTITIES`.
        relation: ">", ">=", "<", "<=", "==" or "!=".
        bound: the number that it is compared with.
    """

    name: str
    relation: str
    bound: float

    @classmethod
    def of(cls, text: str) -> Condition:
        """The condition in "p > 0.01".

        Raises:
            InvalidPart: it is spelled otherwise.
            UnknownName: there is no such quantity; the nearest are offered.

        Example:
            >>> Condition.of("p > 0.01")
            Condition(name='p', relation='>', bound=0.01)
        """
        spelled = _SPELLED.fullmatch(text)
        try:
            name, relation, bound = spelled.groups() if spelled else ("", "", "")
            condition = cls(name, relation, float(bound))
        except ValueError:
            raise InvalidPart(f"gate: a condition such as 'p > 0.01' is required, got {text!r}. Names: {', '.join(QUANTITIES)}.") from None
        if name not in QUANTITIES:
            raise UnknownName("gate: condition", name, list(QUANTITIES))
        return condition

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"

    def holds(self, value: float) -> bool:
        """Whether the gate fails at this value."""
        return _OPERATORS[self.relation](value, self.bound)


@dataclass(frozen=True)
class Outcome:
    """What a condition says of one model, or of the data.

    Args:
        condition: under which the gate fails.
        model: its name; "data" where the quantity is one of the data.
        value: of the quantity; None: it was not measured, and the gate fails.
    """

    condition: Condition
    model: str
    value: float | None

    @property
    def failed(self) -> bool:
        """Whether the gate fails."""
        return self.value is None or self.condition.holds(self.value)

    @property
    def text(self) -> str:
        """One line, as the terminal shows it."""
        got = "was not measured" if self.value is None else f"= {self.value:.6g}"
        return f"{'FAIL' if self.failed else 'ok  '} {self.model}: {self.condition.name} {got} (fails if {self.condition})"


def gate(audit: Audit, conditions: Iterable[str | Condition]) -> list[Outcome]:
    """What conditions say of an audit, one outcome for each of them and each model.

    Args:
        audit: finished.
        conditions: such as "p > 0.01"; the gate fails where one holds, or its quantity was not measured.

    Raises:
        InvalidPart: a condition is spelled otherwise.
        UnknownName: there is no such quantity.
    """
    asked = [condition if isinstance(condition, Condition) else Condition.of(condition) for condition in conditions]
    return [outcome for condition in asked for outcome in _outcomes(audit, condition)]


def _outcomes(audit: Audit, condition: Condition) -> list[Outcome]:
    if condition.name in _OF_DATA:
        found = [each for each in audit.data_findings if each.kind == _KINDS.get(condition.name) or (condition.name == "problems" and each.severity != "note")]
        return [Outcome(condition, "data", float(len(found) if condition.name == "problems" else sum(each.count for each in found)))]
    outcomes = []
    for finding in audit.findings:
        gain = None if finding.score is None or finding.baseline is None else finding.score - finding.baseline
        values = {"p": finding.p_value, "score": finding.score, "baseline": finding.baseline, "gain": gain, "memory": finding.memory, "failed": finding.failed}
        value = values[condition.name]
        outcomes.append(Outcome(condition, finding.model, None if value is None else float(value)))
    return outcomes


def junit(outcomes: Sequence[Outcome], verdict: str) -> str:
    """The outcomes as JUnit XML, one test case each, with the verdict as its output.

    Args:
        outcomes: of `gate`.
        verdict: of the audit.
    """
    failures = str(sum(outcome.failed for outcome in outcomes))
    suite = ElementTree.Element("testsuite", name="shatterlab audit", tests=str(len(outcomes)), failures=failures, errors="0", skipped="0")
    for outcome in outcomes:
        case = ElementTree.SubElement(suite, "testcase", classname=f"shatterlab.audit.{printable(outcome.model)}", name=str(outcome.condition))
        if outcome.failed:
            ElementTree.SubElement(case, "failure", message=printable(outcome.text.removeprefix("FAIL "))).text = _lines(verdict)
    ElementTree.SubElement(suite, "system-out").text = _lines(verdict)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
