"""Anybody's network: how its factory is named, called, told apart from an edited one, and refused."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import shatterlab as sl
from shatterlab.architectures.imported import Imported
from shatterlab.architectures.linear import linear_network
from shatterlab.core import catalog
from shatterlab.core.errors import InvalidPart, UnknownName, UserCodeError

UNITS = 3
SHARED = nn.Linear(4, 2)


class Net(nn.Module):
    def __init__(self, classes: int, channels: int = 1) -> None:
        super().__init__()
        self.scores = nn.Linear(16 * channels, classes)

    def forward(self, images):
        return self.scores(images.flatten(1))


def net(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[-1] ** 2 * shape[0], classes))


@dataclass(frozen=True)
class Plan:
    units: int = 5


def seen_by(signature, shape=(3, 28, 20), classes=10, arguments=None):
    """What a factory of this signature is called with."""
    seen = {}
    scope = {"record": lambda given: seen.update(given) or nn.Linear(1, 1)}
    exec(f"def factory({signature}): return record({{k: v for k, v in locals().items()}})", scope)
    Imported(scope["factory"], arguments or {}).build(shape, classes)
    return seen


@pytest.mark.parametrize(
    ("signature", "shape", "arguments", "given"),
    [
        ("shape, classes", (3, 28, 20), {}, {"shape": (3, 28, 20), "classes": 10}),
        ("channels, num_classes", (3, 28, 20), {}, {"channels": 3, "num_classes": 10}),
        ("classes, num_classes, height, width", (3, 28, 20), {}, {"classes": 10, "num_classes": 10, "height": 28, "width": 20}),
        ("classes, *, channels=1", (3, 28, 20), {}, {"classes": 10, "channels": 3}),
        ("classes, width=64", (3, 28, 20), {}, {"classes": 10, "width": 64}),
        ("classes, width=64", (3, 28, 20), {"width": 8}, {"classes": 10, "width": 8}),
        ("classes, channels", (3, 28, 20), {"channels": 7}, {"classes": 10, "channels": 7}),
        ("**anything", (3, 28, 20), {}, {"anything": {}}),
        ("**anything", (3, 28, 20), {"num_classes": 10}, {"anything": {"num_classes": 10}}),
        ("*layers", (3, 28, 20), {}, {"layers": ()}),
        ("", (3, 28, 20), {}, {}),
        ("shape, channels=5", (64,), {}, {"shape": (64,), "channels": 5}),
        ("hidden, classes", (64,), {"hidden": (3, 4)}, {"hidden": [3, 4], "classes": 10}),
    ],
)
def test_a_factory_gets_what_its_signature_names(signature, shape, arguments, given):
    assert seen_by(signature, shape, 10, arguments) == given


@pytest.mark.parametrize(
    ("signature", "shape", "arguments", "error", "text"),
    [
        ("depth, classes", (3, 8, 8), {}, InvalidPart, "Imported: a value is required for depth of factory, got none for inputs of shape (3, 8, 8)"),
        ("channels", (64,), {}, InvalidPart, "Imported: a value is required for channels of factory, got none for inputs of shape (64,)"),
        ("width", (3, 8, 8), {}, InvalidPart, "Imported: a value is required for width of factory, got none for inputs of shape (3, 8, 8)"),
        ("classes, depth=2", (3, 8, 8), {"dept": 3}, UnknownName, "Imported: factory: a known name is required, got 'dept'. Did you mean depth?"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused_before_it_is(signature, shape, arguments, error, text):
    with pytest.raises(error) as refused:
        seen_by(signature, shape, 10, arguments)
    assert str(refused.value).removesuffix(". Give it in arguments, or take shape and classes.") == text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    (tmp_path / "layers_of_mine.py").write_text("from torch import nn\nclass Head(nn.Linear):\n    pass\n")
    (tmp_path / "net_of_mine.py").write_text(
        "from torch import nn\nfrom layers_of_mine import Head\n\n"
        "def net(channels, classes):\n    return nn.Sequential(nn.Flatten(), Head(16 * channels, classes))\n\n"
        "class Net(nn.Sequential):\n    def __init__(self, num_classes):\n        super().__init__(nn.Flatten(), Head(16, num_classes))\n\n"
        "def broken(classes):\n    return wrong(classes)\n\ndef wrong(classes):\n    raise ValueError('no such depth')\n\n"
        "def layers(classes):\n    return [nn.Linear(1, classes)]\n\ninstance = net(1, 2)\nnumber = 3\n"
    )
    yield tmp_path
    for name in set(sys.modules) - before:
        if "of_mine" in name:
            del sys.modules[name]


@pytest.mark.parametrize("place", ["net_of_mine", "net_of_mine.py"])
@pytest.mark.parametrize("name", ["net", "Net"])
def test_a_function_or_class_is_found_in_a_module_or_a_file(folder, place, name):
    part = Imported(f"{place}:{name}")
    assert part.build((1, 4, 4), 5)(torch.zeros(2, 1, 4, 4)).shape == (2, 5)
    assert catalog.build(json.loads(json.dumps(part.describe()))) == part


def test_the_fingerprint_follows_the_code_and_not_the_place(folder, monkeypatch):
    part, before = Imported("net_of_mine.py:net"), Imported("net_of_mine.py:net").fingerprints()["factory"]
    assert part.identity() == {"kind": "Imported", "factory": before}
    (folder / "elsewhere").mkdir()
    for name in ("net_of_mine.py", "layers_of_mine.py"):
        (folder / "elsewhere" / name).write_bytes((folder / name).read_bytes())
    monkeypatch.chdir(folder / "elsewhere")
    assert part.fingerprints()["factory"] == before
    (folder / "elsewhere" / "layers_of_mine.py").write_text("from torch import nn\nclass Head(nn.Linear):\n    pass  # edited\n")
    assert part.fingerprints()["factory"] != before


def test_what_fails_in_a_factory_is_told_with_the_users_frames_only(folder):
    with pytest.raises(UserCodeError) as failed:
        Imported("net_of_mine.py:broken").build((1, 4, 4), 2)
    assert str(failed.value) == "Imported: net_of_mine.py:broken failed with ValueError: no such depth"
    assert "in broken" in failed.value.trace and "in wrong" in failed.value.trace and "shatterlab/architectures" not in failed.value.trace


@pytest.mark.parametrize(
    ("factory", "error", "text"),
    [
        ("net_of_mine:layers", UserCodeError, "Imported: a torch.nn.Module is required from net_of_mine:layers, got list. Return the module itself."),
        (
            "net_of_mine:instance",
            InvalidPart,
            "Imported: a factory is required at net_of_mine:instance, got a live Sequential. "
            "Name the function or class that makes it: each replicate needs a fresh initialization.",
        ),
        ("net_of_mine:number", InvalidPart, "Imported: a function or class is required at net_of_mine:number, got 3. Name what makes the network."),
        ("net_of_mine:layer", UnknownName, "Imported: net_of_mine: a known name is required, got 'layer'. Did you mean layers?"),
        (
            "nowhere:net",
            InvalidPart,
            "Imported: an importable module is required, got 'nowhere'. Run where nowhere can be imported, or give path/to/file.py:net.",
        ),
    ],
)
def test_what_is_no_factory_is_refused_in_words(folder, factory, error, text):
    with pytest.raises(error) as refused:
        Imported(factory).build((1, 4, 4), 2)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (lambda: Net, "Imported: a torch.nn.Module is required from <lambda>, got the class Net. Return an instance, Net(...)."),
        (lambda: None, "Imported: a torch.nn.Module is required from <lambda>, got NoneType. Return the module itself."),
        (nn.ReLU, "Imported: trainable parameters are required from torch.nn.modules.activation:ReLU, got ReLU without any. Return a network that can learn."),
    ],
)
def test_what_a_live_factory_must_return(factory, text):
    with pytest.raises(UserCodeError) as refused:
        Imported(factory).build((1, 4, 4), 2)
    assert str(refused.value) == text


def test_a_network_that_comes_back_a_second_time_is_refused():
    for factory in (lambda: SHARED, functools.cache(lambda: nn.Linear(4, 2)), lambda: nn.Sequential(SHARED, nn.Linear(2, 2))):
        part = Imported(factory)
        with pytest.raises(UserCodeError, match=r"a fresh network is required from .*, got the .* that it returned before\. Make every layer"):
            _kept = [part.build((4,), 2), part.build((4,), 2)]
    fresh = Imported(lambda: nn.Linear(4, 2))
    assert len({id(each) for each in [fresh.build((4,), 2) for _ in range(3)]}) == 3


@pytest.mark.parametrize("factory", ["net", "net:", ":net", 3, None])
def test_other_things_are_no_factory(factory):
    with pytest.raises(InvalidPart) as refused:
        Imported(factory)
    assert str(refused.value) == f'Imported: factory is "module:name", "path/to/file.py:name" or a callable, got {factory!r}'


def test_arguments_are_plain_and_copied():
    given = {"hidden": (3, 4), "deep": {"a": [1]}}
    part = Imported("m:net", given)
    given["deep"]["a"].append(2)
    assert part.arguments == {"hidden": [3, 4], "deep": {"a": [1]}}
    with pytest.raises(InvalidPart, match=r"^Imported: arguments are numbers, text, lists and mappings, got \{'layer': ReLU\(\)\}\. Build other things"):
        Imported("m:net", {"layer": nn.ReLU()})


def test_a_live_network_is_refused_since_each_replicate_needs_a_fresh_one():
    text = "a factory is required, got a live Net. Pass `lambda: Net()`: each replicate needs a fresh initialization."
    for make, owner in ((Imported.live, "audit"), (Imported, "Imported")):
        with pytest.raises(InvalidPart) as refused:
            make(Net(2))
        assert str(refused.value) == f"{owner}: {text}"


def test_what_can_be_imported_goes_by_its_address():
    assert Imported(linear_network).factory == "shatterlab.architectures.linear:linear_network"
    assert Imported.live(net).factory == f"{__name__}:net" and Imported(Net).factory == f"{__name__}:Net"
    assert Imported(Net).build((2, 4, 4), 3)(torch.zeros(1, 2, 4, 4)).shape == (1, 3)
    assert Imported(nn.LazyLinear, {"out_features": 3}).build((7,), 3)(torch.zeros(1, 7)).shape == (1, 3)


def test_a_function_of_an_outside_file_goes_by_its_path(folder):
    from shatterlab.core.user_code import load_file

    part = Imported(load_file(folder / "net_of_mine.py").net)
    assert part.factory == f"{(folder / 'net_of_mine.py').resolve()}:net" and part.build((1, 4, 4), 2)


def test_a_lambda_is_known_to_this_process_only():
    part = Imported(lambda shape, classes: nn.Sequential(net(shape, classes)))
    assert part.factory.startswith("live:test_a_lambda_is_known_to_this_process_only.<locals>.<lambda>#")
    assert part.fingerprints() == {"factory": part.factory}
    again = catalog.build(json.loads(json.dumps(part.describe())))
    assert again == part and again.build((1, 4, 4), 3)(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    with pytest.raises(InvalidPart) as refused:
        Imported("live:<lambda>#0123456789abcdef").build((4,), 2)
    remedy = 'Later runs need "module:factory" or "path/to/file.py:factory".'
    assert str(refused.value) == f"Imported: a factory of this process is required, got 'live:<lambda>#0123456789abcdef' of another one. {remedy}"


def test_weights_follow_the_seed():
    part, weights = Imported(lambda classes: nn.Linear(4, classes)), []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            weights.append(part.build((4,), 2).weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def made(units, default=1):
    def inner(classes, start=default):
        def head():
            return nn.Linear(units, classes)

        return nn.Sequential(nn.LazyLinear(units), head())

    return inner


def test_the_name_of_a_live_factory_follows_code_defaults_and_enclosed_values():
    def name(factory):
        return Imported(factory).factory.partition("#")[2]

    assert name(made(3)) == name(made(3))
    distinct = [made(3), made(4), made(3.0), made("3"), made(3, 2), made((3, 4)), made((4, 3)), made({"a": 1}), made({"a": 2}), made(None), made(UNITS == 3)]
    distinct += [made(Plan()), made(Plan(6)), made(Net), made(net), made(nn), made(torch), made(torch.float16), made({3, 4}), made({3, 5})]
    distinct += [lambda: Net(2), lambda: Net(3), lambda: nn.Linear(2, 3), lambda: nn.Conv2d(2, 3), lambda: nn.Linear(UNITS, 2)]
    distinct += [functools.partial(Net, 2), functools.partial(Net, 3), functools.partial(net, classes=2), functools.cache(made(3)), functools.cache(made(4))]
    assert len({name(each) for each in distinct}) == len(distinct)


SCRIPT = """
from dataclasses import dataclass, field
import functools, torch
from torch import nn
@dataclass(frozen=True)
class Plan:
    units: int = 5
    more: list = field(default_factory=list)
    names: frozenset = frozenset({'b', 'a', 'c'})
class Block(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.scores = nn.Linear(plan.units, 2)
    def forward(self, x): return self.scores(x) if x.dim() in {1, 2, 7} else x
PLAN = Plan()
def net():
    return nn.Sequential(Block(PLAN), helper(TENSOR) if PLAN.more else nn.Identity())
def helper(x): return x
TENSOR = None
factory = lambda: net()
"""


EDITED = [
    SCRIPT,
    SCRIPT.replace("units: int = 5", "units: int = 6"),
    SCRIPT.replace("plan.units, 2", "plan.units, 3"),
    SCRIPT.replace("def helper(x): return x", "def helper(x): return x + 1"),
    SCRIPT.replace("{1, 2, 7}", "{1, 2, 8}"),
    SCRIPT.replace("Plan()", "Plan(more=[1])"),
    SCRIPT.replace("TENSOR = None", "TENSOR = torch.zeros(2)"),
]
PROGRAM = """
import json, sys
from shatterlab.core.live_code import content_hash
def hashed(source):
    scope = {"__name__": "__main__"}
    exec(source, scope)
    return content_hash(scope["factory"])
if __name__ == "__main__":
    print(json.dumps([hashed(source) for source in json.loads(sys.argv[1])]))
"""


def test_hashes_agree_between_processes_and_follow_every_edit_that_is_reached():
    scope = {"__name__": "here"}
    exec(PROGRAM, scope)
    here = [scope["hashed"](source) for source in EDITED]
    there = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(EDITED)], capture_output=True, text=True, check=True, timeout=120)
    assert len(set(here)) == len(EDITED)
    assert json.loads(there.stdout)[:-1] == here[:-1]  # sets and frozensets come in another order there
    assert json.loads(there.stdout)[-1] != here[-1]  # a tensor cannot be read: never the same twice
    assert scope["hashed"]("# a comment\n" + SCRIPT + "unused = 3\n") == here[0]


def test_what_cannot_be_read_never_takes_anothers_name():
    first, second = (Imported(functools.partial(made, torch.zeros(2))) for _ in range(2))
    assert first.factory != second.factory
    tensor = torch.zeros(2)
    assert Imported(functools.partial(made, tensor)) == Imported(functools.partial(made, tensor))


def test_an_ordered_mapping_and_a_bound_method_are_read():
    class Maker:
        def __init__(self, units):
            self.units = OrderedDict(units=units)

        def make(self, classes):
            return nn.Linear(self.units["units"], classes)

    assert Imported(Maker(3).make) == Imported(Maker(3).make) != Imported(Maker(4).make)
    assert Imported(Maker(3).make).build((3,), 2)(torch.zeros(1, 3)).shape == (1, 2)


class Wrapped(nn.Module):
    """A network that answers as those of Hugging Face do."""

    def __init__(self, width, classes):
        super().__init__()
        self.head = nn.Linear(width, classes)

    def forward(self, rows):
        return {"loss": None, "logits": self.head(rows)}


def test_a_network_whose_output_has_logits_trains_to_the_weights_of_one_that_returns_them():
    rows = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
    sample = sl.Examples(rows, torch.arange(40) % 3, 3)
    fields = {"optimizer": sl.SGD(lr=0.1, weight_decay=0.01), "epochs": 3, "weight_decay_on": ("head.*",)}
    fit = sl.Training(Imported(lambda shape, classes: Wrapped(shape[0], classes)), **fields).fit(sample)
    fields["weight_decay_on"] = ("weight", "bias")
    plain = sl.Training(Imported(lambda shape, classes: nn.Linear(shape[0], classes)), **fields).fit(sample)
    assert torch.equal(fit.scores(rows), plain.scores(rows))
