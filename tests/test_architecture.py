"""The shape of the code: who may import whom, how long things may grow, what is documented, and keys that stay."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shatterlab as sl

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "src" / "shatterlab"
GOLDEN = Path(__file__).with_name("golden_keys.json")

# Who may import whom, by room (folder or module of shatterlab); "shatterlab" is its __init__. Imports inside functions count,
# and so do those for type checkers. Kinds do not know each other; statistics knows neither torch nor rows; the store
# does not know trials; views know rows, not the experiment that asks for them; experiments know studies, never back.
KINDS = "architectures augmentations corruptions datasets kernels learners measures optimizers"
ROWS = "core analysis statistics"
MAY_IMPORT = {
    "shatterlab": "core",
    "core": "",
    "statistics": "core",
    "theory": "core statistics",
    "readers": "core",
    "references": "core",
    "architectures": "core",
    "augmentations": "core",
    "constructions": "core",
    "corruptions": "core statistics",
    "datasets": "core readers",
    "optimizers": "core",
    "training": "core",
    "kernels": "core architectures",
    "solvers": "core training",
    "measures": "core statistics theory",
    "learners": "core architectures constructions kernels optimizers solvers theory training",
    "sklearn": "core kernels learners",
    "trials": "core shatterlab statistics",
    "store": "core shatterlab",
    "executors": "core store trials",
    "analysis": "core statistics theory",
    "views": f"{ROWS} theory",
    "design": f"{ROWS} corruptions trials views",
    "report": f"{ROWS} design shatterlab views",
    "laws": f"core {KINDS} statistics training trials",
    "studies": f"{ROWS} {KINDS} design executors readers report store theory trials views",
    "experiments": f"{ROWS} {KINDS} design references shatterlab studies theory trials views",
    "pytest_plugin": "studies",
    "cli": "core analysis corruptions datasets design experiments laws readers report shatterlab store studies trials views",
    "__main__": "cli",
}

LIGHT = (
    "core",
    "cli",
    "statistics",
    "views",
)  # quick: no torch at import
LONGER: dict[str, int] = {}  # modules over 400 lines, and how long they may be
LONG_FUNCTIONS: set[str] = set()  # functions over 40 lines


@functools.cache
def modules() -> dict[str, Path]:
    """Dotted name below shatterlab ("" is its __init__) -> file."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_bytes())


def home(name: str) -> str:
    return name.partition(".")[0] or "shatterlab"


def imported(name: str) -> Iterator[str]:
    """The modules of shatterlab that a module imports, anywhere in it."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import in line {node.lineno}"
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for each in wanted:
            if each == "shatterlab" or each.startswith("shatterlab."):
                inner = each.removeprefix("shatterlab").lstrip(".")
                yield inner if inner in modules() else inner.rpartition(".")[0]


def test_every_module_has_its_place():
    assert {home(name) for name in modules()} - set(MAY_IMPORT) == set(), "add it to MAY_IMPORT, and say what it may know"
    assert set(MAY_IMPORT) - {home(name) for name in modules()} == set(), "gone: remove it from MAY_IMPORT"


def test_each_room_says_in_one_sentence_what_is_in_it():
    rooms = {name: ast.get_docstring(tree(name)) or "" for name in MAY_IMPORT if (SOURCE / name).is_dir()}
    assert len(rooms) > 20
    assert {name: text for name, text in rooms.items() if not re.fullmatch(r"[A-Z](?:[^.\n]|\.(?! [A-Z]))*\.", text)} == {}


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_a_module_imports_only_what_it_may(place):
    allowed = {place, *MAY_IMPORT[place].split()}
    wrong = [f"{name} imports {each or 'shatterlab'}" for name in modules() if home(name) == place for each in imported(name) if home(each) not in allowed]
    assert wrong == []


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The names of a circle of imports, the first one again at its end; none where there is no circle."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as problem:
        return list(problem.args[1])
    return []


def test_what_may_be_imported_has_no_circle():
    assert circle({name: set(allowed.split()) for name, allowed in MAY_IMPORT.items()}) == []


def test_modules_have_no_circle():
    imports = {name: set(imported(name)) - {name} for name in modules()}
    assert circle(imports) == []
    assert set(circle(imports | {"core.errors": {"cli.commands"}})) >= {"core.errors", "cli.commands"}  # planted


def kept_to_themselves() -> list[str]:
    """Imports of a file with an underscore, which is its own room's only, by another room."""
    pairs = [(name, module) for name in modules() for module in imported(name) if home(name) != home(module)]
    return [f"{name} imports {module}" for name, module in pairs if any(re.match("_[^_]", step) for step in module.split("."))]


def test_no_room_imports_a_file_that_another_keeps_to_itself(tmp_path, monkeypatch):
    assert kept_to_themselves() == []
    file = tmp_path / "planted.py"
    file.write_text("from shatterlab.architectures import _layers\nfrom shatterlab.constructions._points import table\n")
    monkeypatch.setitem(modules(), "learners.planted", file)
    assert kept_to_themselves() == ["learners.planted imports architectures._layers", "learners.planted imports constructions._points"]


def test_the_import_check_bites(tmp_path, monkeypatch):
    file = tmp_path / "planted.py"
    file.write_text("def late():\n    from shatterlab.datasets import digits\n")
    monkeypatch.setitem(modules(), "corruptions.planted", file)
    assert list(imported("corruptions.planted")) == ["datasets.digits"]
    with pytest.raises(AssertionError, match=r"corruptions\.planted imports datasets\.digits"):
        test_a_module_imports_only_what_it_may("corruptions")


def test_kinds_do_not_know_each_other():
    from shatterlab.core.catalog import KINDS

    known = {kind: set(MAY_IMPORT[kind].split()) & set(KINDS) for kind in KINDS}
    assert known.pop("learners") == {"architectures", "kernels", "optimizers"}
    assert known.pop("kernels") == {"architectures"}  # a tangent kernel is that of an architecture
    assert set().union(*known.values()) == set()


def test_light_modules_import_without_torch():
    code = f"import sys, {', '.join(f'shatterlab.{name}' for name in LIGHT)}; print(sorted({{'torch', 'scipy.stats', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name or "shatterlab" for name in modules()])
def test_a_module_is_short_and_so_are_its_functions(name):
    name = "" if name == "shatterlab" else name
    assert len(modules()[name].read_text().splitlines()) <= LONGER.get(name, 400)
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[documented].lineno if len(node.body) > documented else node.end_lineno
            assert f"{name}:{node.name}" in LONG_FUNCTIONS or node.end_lineno - first + 1 <= 40, f"{name}: {node.name}"


@pytest.mark.parametrize("name", [name or "shatterlab" for name in modules() if name != "__main__"])
def test_everything_public_is_documented(name):
    module = importlib.import_module("shatterlab" if name == "shatterlab" else f"shatterlab.{name}")
    assert module.__doc__
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", "") != module.__name__ or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        assert value.__doc__ and not value.__doc__.startswith(f"{key}("), f"{name}: {key}"
        for method in vars(value) if inspect.isclass(value) else ():
            member = inspect.getattr_static(value, method)
            if not method.startswith("_") and (callable(member) or isinstance(member, property | classmethod | staticmethod | functools.cached_property)):
                assert inspect.getdoc(getattr(value, method)), f"{name}: {key}.{method}"  # an override may speak through its base


def tracked() -> list[Path]:
    """Files that are, or would be, under version control."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git here: what is under version control is unknown")
    return [file for name in listed.stdout.decode().split("\0") if name and (file := REPOSITORY / name).is_file()]


def test_no_file_names_a_place_of_one_machine():
    slash = "/"  # written so that this file is not found itself
    anywhere = [f"{slash}home{slash}(?!(?:me|local|user|you)\\b)[a-z]", f"{slash}Users{slash}[A-Za-z]", f"{slash}root{slash}", f"{slash}work{slash}"]
    outside_ci = [rf"\bshared{slash}"]
    found = []
    for file in tracked():
        name = file.relative_to(REPOSITORY).as_posix()
        if "/vendor/" in name:
            continue
        text = file.read_text(errors="ignore")
        banned = anywhere + ([] if name.startswith(".ci/") else outside_ci)
        found += [f"{name}: {match.group()}" for pattern in banned for match in [re.search(pattern, text)] if match]
    assert found == []


CONTRACT = """
    Digits MNIST FashionMNIST CIFAR10 CIFAR10N CIFAR100 ImageFolder Arrays
    PartialLabels PermutedLabels ShuffledPixels RandomPixels GaussianPixels TrueLabels RandomLabels
    MLP SmallAlexNet SmallInception Linear Imported
    RandomCrop HorizontalFlip Rotation ColorJitter Cutout Mixup
    Training Estimator Recipe KernelInterpolation LinearMinimumNorm SGD Adam RMSProp
    LinearKernel Gaussian Laplacian KernelInterpolator
    GaussianCloud LinearSeparator MemorizedBits capacity Capacity FitProbability TwoLayerConstruction DeepConstruction MemorizingNetwork
    Examples Splits Fit Progress Row Seeds Runtime Part Trial run Store Experiment Scale Claim grid Curve Table complete tangent_gram ledger Ledger
    audit Audit significance Significance suspicious Suspicious OnFold Pooled Ablation Factor
    Dataset Corruption LabelCorruption PixelCorruption Architecture Augmentation Optimizer Kernel Learner Measure
    NotApplicable ShatterlabError random_bits
""".split()  # noqa: SIM905 (seventy names in quotes are harder to read)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_name_of_the_contract_is_there(name):
    assert name in dir(sl)


@pytest.mark.parametrize("name", dir(sl))
def test_a_name_that_is_offered_resolves(name):
    assert getattr(sl, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'shatterlab' has no attribute 'Nonsense'$"):
        _ = sl.Nonsense


def trials() -> dict[str, sl.Trial]:
    """The trials whose keys are pinned; no user's file and no version of another package enters them."""
    mlp, digits = sl.MLP((32,)), sl.Digits()
    plain = sl.Training(mlp)
    return {
        "true labels": sl.Trial(digits, sl.TrueLabels(), plain),
        "random labels": sl.Trial(digits, sl.RandomLabels(), plain),
        "partial labels": sl.Trial(sl.Digits(examples=200, test_examples=100), sl.PartialLabels(0.3), plain, sl.Seeds.replicate(3)),
        "permuted labels": sl.Trial(digits, sl.PermutedLabels(), plain),
        "shuffled pixels": sl.Trial(digits, sl.ShuffledPixels(), plain, sl.Seeds(corruption=1)),
        "random pixels by value": sl.Trial(digits, sl.RandomPixels("value"), plain, sl.Seeds(order=2)),
        "Gaussian pixels": sl.Trial(digits, sl.GaussianPixels(), plain, sl.Seeds(init=5)),
        "a linear model, full batch, squared loss": sl.Trial(digits, sl.RandomLabels(), sl.Training(sl.Linear(), batch_size=None, loss="squared", stop=0.05)),
        "small AlexNet": sl.Trial(sl.CIFAR10(crop=28), sl.RandomLabels(), sl.Training(sl.SmallAlexNet(), sl.SGD(lr=0.01))),
        "small Inception": sl.Trial(sl.CIFAR10(crop=28), sl.RandomLabels(), sl.Training(sl.SmallInception(), sl.SGD(lr=0.1), precision="bfloat16")),
        "Adam": sl.Trial(sl.MNIST(), sl.TrueLabels(), sl.Training(mlp, sl.Adam(), whiten=False)),
        "a kernel system": sl.Trial(digits, sl.RandomLabels(), sl.KernelInterpolation(sl.Gaussian(5.0))),
        "random features": sl.Trial(sl.MNIST(), sl.TrueLabels(), sl.KernelInterpolation(sl.RandomConvolution(64), ridge=0.1, solver="iterative")),
        "minimum norm": sl.Trial(digits, sl.TrueLabels(), sl.LinearMinimumNorm()),
        "RMSProp": sl.Trial(sl.CIFAR100(), sl.TrueLabels(), sl.Training(mlp, sl.RMSProp())),
    }


def pinned(trial: sl.Trial) -> dict[str, object]:
    parts = ("dataset", "corruption", "learner", "seeds")
    return {"key": trial.key, "means": {name: getattr(trial, name).describe(defaults=True) for name in parts}}


@pytest.mark.parametrize("name", trials())
def test_a_key_stays_what_it_was_and_means_what_it_meant(name):
    """A changed default changes what a short description means: raise that part's `version`, so that no old row is taken for a new one.

    A new field with a default that keeps the old meaning keeps every key. Where the change is meant, write the file
    anew: python tests/test_architecture.py
    """
    was, now = json.loads(GOLDEN.read_text())[name], pinned(trials()[name])
    if was["means"] != now["means"]:
        old, new = flat(was["means"]), flat(now["means"])
        changed = {field for field in old if field in new and old[field] != new[field]}
        gone, added = old.keys() - new.keys(), new.keys() - old.keys()
        assert not (changed | gone) or was["key"] != now["key"], f"{sorted(changed | gone)} changed, the key did not: raise the part's version"
        assert not (changed | gone | added), f"write {GOLDEN.name} anew: {sorted(changed | gone | added)} changed"
    assert was["key"] == now["key"], "every stored row of this trial would be orphaned"


def flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {name: inner for key, each in value.items() for name, inner in flat(each, f"{prefix}.{key}").items()}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: pinned(trial) for name, trial in trials().items()}, indent=1) + "\n")
