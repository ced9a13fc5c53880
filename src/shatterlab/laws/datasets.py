"""Laws of data sets: the same sample each time, in the form that every other part counts on."""

from __future__ import annotations

import dataclasses

import torch

from shatterlab.core import Dataset, Examples, Splits
from shatterlab.core.errors import DataError, NotApplicable
from shatterlab.laws.law import OTHER_SEEDS, SEEDS, changed, demand, differing, laws_in, leaving_generators_alone


def loads_the_same_sample(part: Dataset) -> None:
    """The same seeds load the same examples in the same order."""
    first, again = _load(part), _load(part)
    for name, one, other in (("training", first.train, again.train), ("test", first.test, again.test)):
        demand(part, not (got := changed(one, other)), f"the {name} split is the same each time", got, "Draw from seeds.rng('data', name) only.")


def leaves_generators_alone(part: Dataset) -> None:
    """Process-wide random generators are neither read nor seeded."""
    with leaving_generators_alone(part, "load"):
        _load(part)


def gives_tensors_of_one_form(part: Dataset) -> None:
    """Inputs are float32, labels int64, and both splits have one shape and one number of classes."""
    splits = _load(part)
    for name, examples in _named(splits):
        got = f"{examples.inputs.dtype} and {examples.labels.dtype}"
        typed = examples.inputs.dtype == torch.float32 and examples.labels.dtype == torch.int64
        demand(part, typed, f"the {name} split is float32 and int64", got, "Convert in `read`.")
        fits = examples.labels.shape == (len(examples.inputs),) and examples.inputs.ndim in (2, 4)
        shapes = f"{tuple(examples.inputs.shape)} and {tuple(examples.labels.shape)}"
        demand(part, fits, f"the {name} split is n x d or n x channels x height x width, and n labels", shapes, "Reshape in `read`.")
    one, other = splits.train, splits.test
    alike = (one.shape, one.classes, one.levels) == (other.shape, other.classes, other.levels)
    got = f"{one.shape}, {one.classes}, {one.levels} and {other.shape}, {other.classes}, {other.levels}"
    demand(part, alike, "shape, classes and levels of both splits agree", got, "Read both splits alike.")


def keeps_pixels_in_range(part: Dataset) -> None:
    """Images lie in [0, 1], and on the grid of their levels where they had any."""
    for name, examples in _named(_load(part)):
        if len(examples.shape) == 1:
            raise NotApplicable("it is a table")
        low, high = examples.inputs[:].min().item(), examples.inputs[:].max().item()
        remedy = "Divide by the largest value that a pixel can have."
        demand(part, low >= 0 and high <= 1, f"images of the {name} split lie in [0, 1]", f"{low:.4g} .. {high:.4g}", remedy)
        if examples.levels is not None:
            steps = examples.inputs[:].double() * examples.levels
            off = (steps - steps.round()).abs().max().item()  # float32 rounding of v / levels times levels: below levels 2^-24
            got = f"a value {off / examples.levels:.2g} beside its nearest multiple"
            demand(part, off <= examples.levels * 2.0**-23, f"pixels of the {name} split are multiples of 1/{examples.levels}", got, "Set `levels` to None.")


def parts_the_splits(part: Dataset) -> None:
    """Test examples are not training examples: fewer than half of the test inputs occur among them."""
    splits = _load(part)
    training_inputs = {row.numpy().tobytes() for row in splits.train.inputs}
    count = sum(row.numpy().tobytes() in training_inputs for row in splits.test.inputs)
    got = f"{count} of {len(splits.test)} test inputs among the training inputs"
    demand(part, 2 * count < len(splits.test), "training and test examples differ", got, "Split the sample in `read`.")


def subsamples_by_class(part: Dataset) -> None:
    """A smaller number of examples is drawn from the data stream, class shares kept to within one."""
    full = _load(dataclasses.replace(part, examples=None, test_examples=None))
    n, m = len(full.train) // 2, len(full.test) // 2
    remedy = "Leave `load` to the base class."
    half = _load(dataclasses.replace(part, examples=n, test_examples=m))
    for (name, examples), (_, whole), size in zip(_named(half), _named(full), (n, m), strict=True):
        demand(part, len(examples) == size, f"the {name} split has the required {size} examples", len(examples), remedy)
        inside = {row.numpy().tobytes() for row in whole.inputs}
        strange = sum(row.numpy().tobytes() not in inside for row in examples.inputs)
        demand(part, not strange, f"the smaller {name} split is drawn from the whole", f"{strange} other examples", remedy)
        shares = whole.labels.bincount(minlength=whole.classes) * (size / len(whole))
        worst = (examples.labels.bincount(minlength=whole.classes) - shares).abs().max().item()
        demand(part, worst < 1, f"class shares of the {name} split are kept to within one", f"{worst:.1f} off", remedy)
    other = dataclasses.replace(part, examples=n, test_examples=m).load(None, OTHER_SEEDS)
    same = not differing(half.train.inputs[:], other.train.inputs[:])
    demand(part, not same, "another data seed draws other examples", "the same ones", remedy)


def refuses_what_it_has_not(part: Dataset) -> None:
    """A request for more examples than there are is refused in one line."""
    full = _load(dataclasses.replace(part, examples=None, test_examples=None))
    for name, size in (("examples", len(full.train)), ("test_examples", len(full.test))):
        try:
            _load(dataclasses.replace(part, **{name: size + 1}))
        except DataError:
            continue
        demand(part, False, f"{name}={size + 1} is refused, there are {size}", "a sample", "Leave `load` to the base class.")


def _load(part: Dataset) -> Splits:
    return part.load(None, SEEDS)


def _named(splits: Splits) -> list[tuple[str, Examples]]:
    return [("training", splits.train), ("test", splits.test)]


LAWS = laws_in(__name__)
