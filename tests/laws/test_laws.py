"""Every part that the catalog finds is tried by the laws of its kind; a new part needs no line here."""

from __future__ import annotations

import itertools

import pytest

from shatterlab.core import catalog
from shatterlab.core.errors import InvalidPart, LawBroken, NotApplicable, UnknownName
from shatterlab.laws import Finding, _label, check, check_all, check_named, laws, words

PARTS = {entry.name: catalog.get(entry.name) for kind in catalog.KINDS for entry in catalog.find(kind).values() if entry.is_part}
EVERYWHERE_ELSE = {
    "MNIST",
    "FashionMNIST",
    "CIFAR10",
    "CIFAR10N",
    "CIFAR100",
    "Arrays",
    "DataTable",
    "ImageFolder",
    "StreamedFolder",
    "Imported",
    "Pooled",  # has its test split in its training split
}  # all others need the user's files
CASES = [
    pytest.param(law, part, id=f"{name}-{number}-{law.__name__}")
    for name, cls in PARTS.items()
    for number, part in enumerate(cls.specimens())
    for law in laws(cls)
]


@pytest.mark.parametrize(("law", "part"), CASES)
def test_part_keeps_the_laws_of_its_kind(law, part):
    try:
        broken = law(part)
    except NotApplicable:
        broken = None
    except LawBroken as problem:
        broken = str(problem)
    assert broken is None


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_kind_has_laws_and_parts_to_try(kind):
    found = [name for name, entry in catalog.find(kind).items() if entry.is_part]
    assert found
    assert any(PARTS[name].specimens() for name in found)
    own = laws(kind)[len(laws(catalog.get(found[0]))) - len(laws(kind)) :]
    assert len(own) >= 5


def test_every_part_without_need_of_files_has_specimens():
    assert {name for name, cls in PARTS.items() if not cls.specimens()} <= EVERYWHERE_ELSE


def test_each_law_says_what_it_demands_in_words_of_its_own():
    for kind in catalog.KINDS:
        said = [words(law) for law in laws(kind)]
        assert len(set(said)) == len(said)
        assert all(each[0].isupper() and " " in each for each in said)


@pytest.mark.parametrize("name", ["PartialLabels", "Digits"])
def test_check_reports_one_finding_a_law(name):
    part = PARTS[name].specimens()[0]
    found = check(part)
    assert [each.law for each in found] == [words(law) for law in laws(part)]
    assert all(isinstance(each, Finding) and each.passed for each in found)


def test_check_says_why_a_law_does_not_concern_a_part():
    found = {each.law: each for each in check(PARTS["ShuffledPixels"]())}
    assert found["Level 0 changes nothing"] == Finding("Level 0 changes nothing", True, "it has no level")


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"^laws: a known name is required, got 'corruption'\. Did you mean corruptions\?$"):
        laws("corruption")


def test_check_all_tries_every_specimen_of_the_package():
    data_and_corruptions = itertools.takewhile(lambda found: not found[0].startswith(("Imported", "Linear")), check_all())
    found = dict(data_and_corruptions)
    assert {"PartialLabels(level=0.3)", "ShuffledPixels(unit='value')", "Digits()"} <= set(found)
    assert [finding.text for findings in found.values() for finding in findings if not finding.passed] == []


def test_check_named_tries_the_specimens_of_one_part():
    results = dict(check_named("ShuffledPixels"))
    assert "ShuffledPixels(unit='value')" in results
    assert all(name.startswith("ShuffledPixels(") for name in results)
    assert [finding.text for findings in results.values() for finding in findings if not finding.passed] == []


def test_check_named_takes_a_shorthand_for_the_part_it_stands_for():
    assert dict(check_named("RandomLabels")) == {"PartialLabels(level=1.0)": check(PARTS["PartialLabels"](1.0))}


def test_check_named_refuses_what_it_cannot_try():
    with pytest.raises(UnknownName, match=r"^catalog: a known name is required, got 'PartialLabel'\. Did you mean PartialLabels"):
        list(check_named("PartialLabel"))
    with pytest.raises(NotApplicable, match=r"^MNIST: a specimen is required, got none: it reads files of yours\. Its laws are tried by the tests\.$"):
        list(check_named("MNIST"))


def test_a_specimen_is_named_by_what_was_chosen():
    assert _label(PARTS["Training"](PARTS["MLP"](), epochs=3)) == "Training(architecture=MLP, epochs=3)"


OUTSIDE = '''
from dataclasses import dataclass
import numpy as np
from shatterlab import LabelCorruption, PartialLabels

@dataclass(frozen=True)
class OneForAll(LabelCorruption):
    """Gives every example class 0."""

    def labels(self, labels, classes, rng):
        return np.zeros_like(labels)

@dataclass(frozen=True)
class Nameless(LabelCorruption):
    """Has a field without default.

    Args:
        level: a probability.
    """

    level: float

    def labels(self, labels, classes, rng):
        return labels
'''


def test_check_all_tries_the_parts_of_an_outside_file(tmp_path):
    (tmp_path / "idea.py").write_text(OUTSIDE)
    found = dict(check_all(tmp_path / "idea.py"))
    assert [each.text for each in found["OneForAll()"] if not each.passed] == [
        "OneForAll: another seed gives another corruption, got the same sample for two seeds. Use `rng` or `seed`; "
        "if nothing is random by design, say `random: ClassVar[bool] = False`."
    ]
    [finding] = found["Nameless"]
    assert not finding.passed
    assert finding.text.startswith("Nameless: specimens() gives instances for the laws to try, got TypeError: Nameless.__init__() missing 1 required")
    assert set(found) == {"OneForAll()", "Nameless"}


def test_check_all_refuses_a_file_without_parts(tmp_path):
    (tmp_path / "idea.py").write_text("x = 1\n")
    with pytest.raises(
        InvalidPart, match=r"^idea\.py: at least one part is required, it defines none\. Derive a frozen dataclass from a kind of shatterlab\.$"
    ):
        list(check_all(tmp_path / "idea.py"))
