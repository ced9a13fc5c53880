"""Parts describe, build and hash themselves; streams are independent by name; what is found, outside and inside."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shatterlab as sl
from shatterlab.core import Batch, Dataset, catalog, fitted_field
from shatterlab.core import user_code as outside
from shatterlab.core.errors import DataError, InvalidPart, ShatterlabError, UnknownName, UserCodeError
from shatterlab.core.part import canonical, digest
from shatterlab.core.values import stratified


@dataclass(frozen=True)
class Inner(sl.Part):
    """A part to put into another."""

    rate: float = 0.5


@dataclass(frozen=True)
class Everything(sl.Part):
    """A part with a field of each type."""

    number: float
    count: int = 3
    name: str = "a"
    flag: bool = False
    limit: int | None = None
    mode: Literal["fast", "slow"] = "fast"
    stop: float | Literal["never"] = "never"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] = (1.0, "x")
    extra: Mapping[str, Any] = field(default_factory=dict)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    learned: Any = fitted_field()


@pytest.fixture(autouse=True)
def _known(known):
    known(Inner, Everything)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4).filter(lambda name: name != "kind"), inner, max_size=3),
    max_leaves=6,
)
INNERS = st.builds(Inner, rate=st.floats(allow_nan=False, allow_infinity=False))
ANYTHING = st.builds(
    Everything,
    number=st.floats(allow_nan=False, allow_infinity=False),
    count=st.integers(-(2**70), 2**70),
    name=st.text(max_size=5),
    flag=st.booleans(),
    limit=st.none() | st.integers(),
    mode=st.sampled_from(["fast", "slow"]),
    stop=st.floats(allow_nan=False, allow_infinity=False) | st.just("never"),
    sizes=st.lists(st.integers(), max_size=3).map(tuple),
    pair=st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)),
    extra=st.dictionaries(st.text(max_size=4).filter(lambda name: name != "kind"), PLAIN, max_size=3),
    inner=INNERS,
    inners=st.lists(INNERS, max_size=2).map(tuple),
)


# Parts


@given(ANYTHING)
def test_a_part_builds_itself_again_from_its_description(part):
    for defaults in (False, True):
        built = catalog.build(json.loads(canonical(part.describe(defaults=defaults))))
        assert built == part
        assert digest(built.identity()) == digest(part.identity())


@given(ANYTHING)
def test_a_part_survives_copies_and_other_processes(part):
    assert copy.deepcopy(part) == part
    assert pickle.loads(pickle.dumps(part)) == part


@given(ANYTHING, ANYTHING)
def test_parts_have_one_identity_exactly_where_they_are_equal(one, other):
    assert (one == other) == (digest(one.identity()) == digest(other.identity()))


def test_a_description_leaves_defaults_out_unless_asked():
    assert Everything(1).describe() == {"kind": "Everything", "number": 1.0}
    assert Everything(1, inner=Inner(2)).describe() == {"kind": "Everything", "number": 1.0, "inner": {"kind": "Inner", "rate": 2.0}}
    assert list(Everything(1).describe(defaults=True)) == ["kind", *(item.name for item in Everything.configuration())]
    assert Everything(1).describe(defaults=True)["inner"] == {"kind": "Inner", "rate": 0.5}


@pytest.mark.parametrize("one", [1, 1.0, np.float32(1), np.int64(1), True + 0])
def test_numbers_are_normalized_by_declared_type(one):
    part = Everything(one, count=one, limit=one, stop=one)
    assert (type(part.number), type(part.count), type(part.limit), type(part.stop)) == (float, int, int, float)
    assert digest(part.identity()) == digest(Everything(1.0, count=1, limit=1, stop=1.0).identity())


def test_lists_become_tuples():
    part = Everything(1.0, sizes=[3, 4.0], pair=[1, "y"], inners=[Inner()])
    assert (part.sizes, part.pair, part.inners) == ((3, 4), (1.0, "y"), (Inner(),))


REFUSED = {
    "number": ("x", "Everything: number is a number, got 'x'"),
    "count": (1.5, "Everything: count is a whole number, got 1.5"),
    "name": (3, "Everything: name is text, got 3"),
    "flag": (1, "Everything: flag is true or false, got 1"),
    "limit": ("x", "Everything: limit is a whole number, got 'x'"),
    "mode": ("fst", "Everything: mode is one of 'fast', 'slow', got 'fst'"),
    "sizes": (3, "Everything: sizes is a sequence, got 3"),
    "pair": ((1.0,), "Everything: pair is 2 values, got (1.0,)"),
    "extra": ([1], "Everything: extra is a mapping, got [1]"),
    "inner": (3, "Everything: inner is one of the kind Inner, got 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_of_another_type_is_refused_in_one_line(name):
    value, text = REFUSED[name]
    with pytest.raises(InvalidPart) as refused:
        Everything(**{"number": 1.0, name: value})
    assert str(refused.value) == text


@pytest.mark.parametrize("value", [True, None, "1", [1]])
def test_a_number_is_not_true_none_text_or_a_list(value):
    for name in ("number", "count"):
        with pytest.raises(InvalidPart):
            Everything(**{"number": 1.0, name: value})


def test_a_union_lists_what_it_takes():
    with pytest.raises(InvalidPart) as refused:
        Everything(1.0, stop="sometimes")
    assert str(refused.value) == "Everything: stop is a number or one of 'never', got 'sometimes'"


def test_require_has_the_one_form_of_refusals():
    with pytest.raises(InvalidPart, match=r"^Inner: rate is small, got 7\. Lower it\.$"):
        Inner().require(False, "rate is small", 7, "Lower it.")
    Inner().require(True, "anything", 0)


def test_what_is_not_plain_data_cannot_be_described():
    with pytest.raises(InvalidPart, match=r"^Everything: extra must be plain data \(numbers, text, lists, mappings, parts\), got <object object at "):
        Everything(1.0, extra={"x": object()}).describe()


def test_a_part_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Everything(1.0).count = 4


def test_fitted_values_are_neither_configuration_nor_identity():
    one, other = Everything(1.0, learned=torch.ones(3)), Everything(1.0)
    assert one == other
    assert one.describe(defaults=True) == other.describe(defaults=True)
    assert one.identity() == other.identity()
    assert "learned" not in repr(one)


def test_the_identity_holds_version_fingerprints_and_source():
    @dataclass(frozen=True)
    class Dated(sl.Part):
        """Depends on a file."""

        version = 2
        path: str

        def fingerprints(self):
            return {"path": "abc"}

    assert Dated("one").identity() == {"kind": "Dated", "path": "abc", "version": 2} == Dated("two").identity()
    assert Dated("one").describe() == {"kind": "Dated", "path": "one"}
    assert Dated("one").columns("x") == {"x.kind": "Dated", "x.path": "one", "x.path.fingerprint": "abc"}
    Dated.outside_fingerprint = "f00d"
    assert Dated("one").identity()["source"] == "f00d"


def test_columns_are_dotted_and_flat_defaults_included():
    columns = Everything(1.0, extra={"b": 1, "a": [2]}, inner=Inner(0.25)).columns("learner")
    assert columns["learner.kind"] == "Everything"
    assert columns["learner.inner.kind"] == "Inner"
    assert columns["learner.inner.rate"] == 0.25
    assert columns["learner.extra"] == '{"a":[2],"b":1}'
    assert columns["learner.sizes"] == "[1,2]"
    assert all(value is None or isinstance(value, str | int | float | bool) for value in columns.values())


def test_parts_inside_are_found():
    part = Everything(1.0, inners=(Inner(1), Inner(2)))
    assert list(part.parts()) == [part, Inner(), Inner(1), Inner(2)]


def test_canonical_json_has_one_form_and_no_nan():
    assert canonical({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        canonical(math.nan)
    assert digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"  # sha256 of "[]"


# Streams


def test_streams_and_seeds_are_independent_by_name():
    names = [("data",), ("corruption",), ("init",), ("order",), ("order", "dropout"), ("order", "augmentation"), ("data", "examples")]
    integers = {seed: [sl.Seeds.replicate(seed).integer(*name) for name in names] for seed in range(50)}
    drawn = [each for values in integers.values() for each in values]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= each < 2**63 for each in drawn)


def test_a_stream_depends_on_its_own_seed_only():
    base, other = sl.Seeds(1, 2, 3, 4), sl.Seeds(1, 9, 9, 9)
    assert base.integer("data", "split") == other.integer("data", "split")
    for stream in ("corruption", "init", "order"):
        assert base.integer(stream) != other.integer(stream)


def test_a_stream_starts_anew_each_time_and_stays_what_it_is():
    seeds = sl.Seeds.replicate(5)
    assert (seeds.rng("order").random(4) == seeds.rng("order").random(4)).all()
    # pinned: another value would orphan every stored result
    assert sl.Seeds().integer("init") == 7343407241800991739
    assert seeds.integer("order", "dropout") == 7867644651220699203


def test_streams_of_replicates_look_independent():
    drawn = np.stack([sl.Seeds.replicate(r).rng("corruption", "labels").random(1000) for r in range(30)])
    correlations = np.corrcoef(drawn) - np.eye(30)
    assert np.abs(correlations).max() < 6 / math.sqrt(1000)  # 435 pairs beyond 6 deviations: probability < 1e-6


@pytest.mark.parametrize(
    ("made", "text"),
    [(lambda: sl.Seeds(data=-1), "Seeds: data is a whole number in 0 .. 2^63 - 1, got -1"), (lambda: sl.Seeds(0.5), "Seeds: data is a whole number, got 0.5")],
)
def test_seeds_are_whole_numbers(made, text):
    with pytest.raises(InvalidPart) as refused:
        made()
    assert str(refused.value) == text


def test_an_unknown_stream_is_refused():
    with pytest.raises(UnknownName, match=r"^Seeds: a known name is required, got 'ordr'\. Did you mean order\?$"):
        sl.Seeds().rng("ordr")


# Values


@given(sizes=st.lists(st.integers(0, 40), min_size=2, max_size=6).filter(any), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_stratified_draws_keep_class_shares_to_within_one(sizes, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = max(1, round(share * len(labels)))
    drawn = stratified(labels, n, np.random.default_rng(seed))
    assert len(set(drawn.tolist())) == n == len(drawn)
    assert (np.diff(drawn) > 0).all()
    quota = np.bincount(labels, minlength=len(sizes)) * n / len(labels)
    assert np.abs(np.bincount(labels[drawn], minlength=len(sizes)) - quota).max() < 1


def test_stratified_draws_give_each_example_of_a_class_the_same_chance():
    """Of 4 from classes of 6 and 3 the shares are 2.67 and 1.33: always 3 and 1, any of each class alike."""
    labels, rng, trials = np.array([0] * 6 + [1] * 3), np.random.default_rng(0), 6000
    counts = sum(np.bincount(stratified(labels, 4, rng), minlength=9) for _ in range(trials))
    chance = np.array([3 / 6] * 6 + [1 / 3] * 3)
    z = (counts - trials * chance) / np.sqrt(trials * chance * (1 - chance))
    assert np.abs(z).max() < 5.5  # nine counts beyond 5.5 deviations: probability < 1e-6


def test_examples_know_their_length_and_shape_and_can_be_picked(small_images):
    train = small_images.train
    picked = train.at(torch.tensor([4, 2]))
    assert (len(train), train.shape, len(picked)) == (60, (3, 6, 6), 2)
    assert torch.equal(picked.inputs, train.inputs[[4, 2]])
    assert torch.equal(picked.labels, train.labels[[4, 2]])
    assert (picked.classes, picked.levels) == (5, 255)


def test_a_row_is_a_read_only_mapping_with_curves_and_arrays():
    columns = {"key": "0123456789abcdef", "status": "ok", "test.error": 0.5}
    row = sl.Row(columns, [(1, 10, "train.loss", 2.0), (1, 10, "test.loss", 3.0), (2, 20, "train.loss", None)], {"margins": np.ones(3)})
    columns["status"] = "changed"
    assert dict(row) == {"key": "0123456789abcdef", "status": "ok", "test.error": 0.5}
    assert row.curve("train.loss") == [(1, 10, 2.0), (2, 20, None)]
    assert row.curve("no such") == []
    assert repr(row) == "Row(0123456789ab, status=ok, 3 columns)"
    with pytest.raises(TypeError):
        row["status"] = "ok"


# Data sets, whatever their source


@dataclass(frozen=True)
class Given(Dataset):
    """A data set made of what the test gives."""

    def read(self, root, seeds):
        return Given.splits


def splits_of(inputs, labels, classes=3):
    part = sl.Examples(torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(labels, dtype=torch.int64), classes)
    return sl.Splits(part, part)


BAD = {
    "empty": (np.zeros((0, 2)), [], "Given: at least one example is required, the training split is empty. Check the source."),
    "unequal": (np.zeros((3, 2)), [0, 1], "Given: as many labels as inputs are required, the training split has 2 labels and 3 inputs."),
    "too high": (np.zeros((2, 2)), [0, 3], "Given: labels are whole numbers in 0..2, the training split has 0..3. Renumber the classes."),
    "too low": (np.zeros((2, 2)), [-1, 1], "Given: labels are whole numbers in 0..2, the training split has -1..1. Renumber the classes."),
    "one class": (np.zeros((2, 2)), [1, 1], "Given: at least two classes are required, the training split has only class 1. Nothing can be told apart."),
    "NaN": (
        np.array([[0, 1], [np.nan, 0], [np.inf, 0]]),
        [0, 1, 2],
        "Given: finite inputs are required, the training split has NaN or infinity in 2 examples, the first at position 1. Clean or drop them.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused_in_one_line(name, monkeypatch):
    inputs, labels, text = BAD[name]
    monkeypatch.setattr(Given, "splits", splits_of(inputs, labels), raising=False)
    with pytest.raises(DataError) as refused:
        Given().load()
    assert str(refused.value) == text


def test_a_subsample_is_refused_where_there_is_not_enough(monkeypatch):
    monkeypatch.setattr(Given, "splits", splits_of(np.zeros((4, 2)), [0, 1, 2, 0]), raising=False)
    with pytest.raises(DataError, match=r"^Given: examples is at most 4, the size of the split, got 5\. Ask for fewer\.$"):
        Given(examples=5).load()
    with pytest.raises(InvalidPart, match=r"^Given: examples is a whole number >= 1 or None, got 0$"):
        Given(examples=0)
    assert len(Given(examples=4).load().train) == 4


# The catalog


def test_the_catalog_finds_parts_and_shorthands_without_importing():
    found = catalog.find("corruptions")
    assert {"PartialLabels", "TrueLabels", "RandomLabels"} <= set(found)
    assert found["PartialLabels"].is_part and not found["TrueLabels"].is_part
    assert found["TrueLabels"].summary.startswith("The data as they are")
    assert set(catalog.find()) == {name for kind in catalog.KINDS for name in catalog.find(kind)}
    assert all(entry.summary for entry in catalog.find().values())


@pytest.mark.parametrize("name", catalog.find())
def test_the_documentation_lists_the_fields_that_the_part_has(name):
    part, text = catalog.get(name), catalog.documentation(name)
    fitted = {item.name for item in fields(part) if item.metadata.get("fitted")} if isinstance(part, type) else set()
    signature = text.removeprefix(f"{name}(").partition(")\n\n")[0]
    names = re.findall(r"^    (\w+): " if isinstance(part, type) else r"(\w+): ", signature, re.MULTILINE)
    assert names == [field for field in inspect.signature(part).parameters if field not in fitted]
    assert inspect.cleandoc(part.__doc__) in text


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (lambda: catalog.get("PartialLabel"), "catalog: a known name is required, got 'PartialLabel'. Did you mean PartialLabels"),
        (lambda: catalog.find("corruption"), "catalog: a known name is required, got 'corruption'. Did you mean corruptions"),
        (lambda: catalog.build({"kind": "Inner", "rat": 1}), "Inner: a known name is required, got 'rat'. Did you mean rate?"),
        (lambda: catalog.build({"kind": "qqq"}), "catalog: a known name is required, got 'qqq'. Known: "),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(asked, text):
    with pytest.raises(UnknownName) as refused:
        asked()
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize("description", [3, "PartialLabels", {}, {"kind": 3}, ["kind"]])
def test_what_is_no_description_is_refused(description):
    with pytest.raises(InvalidPart, match=r'^catalog: a description is a mapping with a "kind", got '):
        catalog.build(description)


def test_a_description_without_a_needed_field_is_refused():
    with pytest.raises(InvalidPart) as refused:
        catalog.build({"kind": "PartialLabels"})
    text = "PartialLabels: PartialLabels.__init__() missing 1 required positional argument: 'level'. Known fields: `shatterlab show PartialLabels`."
    assert str(refused.value) == text


def test_shorthands_can_be_built_too():
    assert catalog.build({"kind": "RandomLabels"}) == sl.PartialLabels(1.0)


# The outside


@pytest.fixture
def idea(tmp_path):
    path = tmp_path / "idea.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom shatterlab import LabelCorruption\n\n\n@dataclass(frozen=True)\nclass Reversed(LabelCorruption):\n"
        '    """Turns the order of labels around."""\n\n    def labels(self, labels, classes, rng):\n        return labels[::-1].copy()\n'
    )
    yield path
    for name in [name for name, cls in catalog._outside.items() if cls.__module__.startswith("shatterlab_outside_")]:
        del catalog._outside[name]


def test_an_outside_file_makes_its_parts_known(idea):
    module = catalog.load(idea)
    assert catalog.load(idea) is module
    part = catalog.build({"kind": "Reversed"})
    assert type(part) is module.Reversed is catalog.get("Reversed")
    assert part.identity()["source"] == module.Reversed.outside_fingerprint != ""
    assert catalog.outside_files(part) == [str(idea)]
    assert catalog.outside_files(sl.TrueLabels()) == []


def test_an_edited_outside_file_is_another_part(idea):
    before = catalog.load(idea).Reversed().identity()
    idea.write_text(idea.read_text() + "\n# edited\n")
    assert catalog.load(idea).Reversed().identity() != before


def test_an_outside_part_cannot_take_a_name_of_the_package(idea):
    idea.write_text(idea.read_text().replace("Reversed", "PartialLabels"))
    with pytest.raises(InvalidPart, match=r"^idea\.py: a name of its own is required for PartialLabels, which shatterlab already has\. Rename the class\.$"):
        catalog.load(idea)


def test_an_outside_file_that_fails_shows_its_own_frames(idea):
    before = set(sys.modules)
    idea.write_text("def inner():\n    return 1 / 0\n\n\ninner()\n")
    with pytest.raises(UserCodeError) as failed:
        catalog.load(idea)
    assert str(failed.value) == "idea.py failed with ZeroDivisionError: division by zero"
    assert "idea.py" in failed.value.trace and "return 1 / 0" in failed.value.trace
    assert "shatterlab/outside.py" not in failed.value.trace
    assert not [name for name in set(sys.modules) - before if name.startswith("shatterlab_outside_")]
    assert pickle.loads(pickle.dumps(failed.value)).trace == failed.value.trace


def test_a_missing_outside_file_is_refused(tmp_path):
    with pytest.raises(InvalidPart, match=r"^gone\.py: a Python file is required, nothing is at .*gone\.py\. Check the path\.$"):
        catalog.load(tmp_path / "gone.py")


def test_a_reference_leads_to_an_object(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("class Holder:\n    value = 5\n")
    assert outside.resolve(f"{tmp_path / 'mine.py'}:Holder.value", "Recipe") == 5
    monkeypatch.chdir(tmp_path)
    assert outside.resolve("mine:Holder", "Recipe").value == 5
    assert outside.resolve("math:pi", "Recipe") == math.pi
    assert str(tmp_path) not in sys.path
    del sys.modules["mine"]


@pytest.mark.parametrize(
    ("reference", "error", "text"),
    [
        ("nocolon", InvalidPart, 'Recipe: "module:name" or "path/to/file.py:name" is required, got \'nocolon\''),
        ("no_such_module:f", InvalidPart, "Recipe: an importable module is required, got 'no_such_module'. Run where no_such_module can be imported, or "),
        ("math:sqroot", UnknownName, "Recipe: math: a known name is required, got 'sqroot'. Did you mean sqrt"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(reference, error, text):
    with pytest.raises(error) as refused:
        outside.resolve(reference, "Recipe")
    assert str(refused.value).startswith(text)


def test_a_fingerprint_follows_the_file_and_what_it_imports_beside_itself(tmp_path):
    (tmp_path / "layers").mkdir()
    files = {"net.py": "from layers import block\nimport extra.deep\nimport math\n", "layers/__init__.py": "", "layers/block.py": "x = 1\n", "other.py": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def mark():
        return outside.fingerprint(f"{tmp_path / 'net.py'}:Net", "Imported")

    before = mark()
    assert before.startswith("Net@")
    (tmp_path / "other.py").write_text("y = 2\n")
    assert mark() == before
    (tmp_path / "layers/block.py").write_text("x = 2\n")
    after = mark()
    assert after != before
    (tmp_path / "net.py").write_text("def broken(:\n")
    assert mark() not in (before, after)


def test_a_fingerprint_of_an_installed_package_is_its_version():
    assert outside.fingerprint("torch.nn:Linear", "Imported") == f"torch.nn:Linear@{torch.__version__.split('+')[0]}" or "+" in torch.__version__
    assert outside.fingerprint("math:sqrt", "Recipe") == f"math:sqrt@{sys.version.split()[0]}"


def test_our_own_refusals_pass_through_the_frame_of_user_code():
    with pytest.raises(InvalidPart, match="mine"), outside.user_code("Recipe"):
        raise InvalidPart("mine")
    with pytest.raises(UserCodeError, match=r"^Recipe failed with ValueError: two$"), outside.user_code("Recipe"):
        raise ValueError("two\nlines")


def test_errors_have_exit_codes_and_one_parent():
    codes = {cls.__name__: cls.exit_code for cls in (ShatterlabError, InvalidPart, UnknownName, DataError, sl.StoreError, UserCodeError, sl.LawBroken)}
    assert codes == {"ShatterlabError": 2, "InvalidPart": 2, "UnknownName": 2, "DataError": 3, "StoreError": 4, "UserCodeError": 5, "LawBroken": 1}
    assert issubclass(InvalidPart, ValueError) and issubclass(UnknownName, LookupError) and issubclass(sl.LawBroken, AssertionError)


def test_a_batch_keeps_what_it_is_given():
    batch = Batch(torch.arange(2), torch.zeros(2, 3), torch.ones(2, dtype=torch.int64))
    assert isinstance(sys.modules[type(batch).__module__], types.ModuleType)
    with pytest.raises(FrozenInstanceError):
        batch.labels = batch.indices
