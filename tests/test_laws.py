"""Every part that the catalog finds is tried by the laws of its kind; a new part needs no line here."""

from __future__ import annotations

import contextlib

import pytest

from shatterlab import catalog
from shatterlab.errors import NotApplicable, UnknownName
from shatterlab.laws import Finding, check, laws, words

PARTS = {entry.name: catalog.get(entry.name) for kind in catalog.KINDS for entry in catalog.find(kind).values() if entry.is_part}
EVERYWHERE_ELSE = {"MNIST", "FashionMNIST", "CIFAR10", "CIFAR100", "Arrays", "ImageFolder", "Imported"}  # need the user's files
CASES = [
    pytest.param(law, part, id=f"{name}-{number}-{law.__name__}")
    for name, cls in PARTS.items()
    for number, part in enumerate(cls.specimens())
    for law in laws(cls)
]


@pytest.mark.parametrize(("law", "part"), CASES)
def test_part_keeps_the_laws_of_its_kind(law, part):
    with contextlib.suppress(NotApplicable):
        law(part)


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
