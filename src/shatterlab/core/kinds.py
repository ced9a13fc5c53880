"""Read this first: the values that travel down the line, and the kinds of part that act on them.

    Experiment -> Trial* -> run ------------------------------------> Row -> Store -> rows -> statistics -> Table / Curve / Claim -> report
    (declared)   (a value)  Dataset.load -> Corruption -> Learner.fit -> Measure.of

Letters: n examples, d input dimension, k classes, p parameters. Errors and accuracies are fractions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.core.part import Part, fitted_field
from shatterlab.core.seeds import Seeds, random_bits
from shatterlab.core.values import Batch, Examples, Fit, Observer, Progress, Row, Runtime, Scalar, Splits, stratified

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = [
    "Architecture", "Augmentation", "Batch", "CodedGram", "Corruption", "Dataset", "Drawn", "Examples", "Fit", "Kernel", "LabelCorruption", "Learner",
    "Measure", "Observer", "Optimizer", "Part", "PixelCorruption", "Progress", "Row", "Runtime", "Scalar", "Seeds", "Splits",
    "fitted_field", "random_bits", "stratified",
]  # fmt: skip

Drawn = Mapping[str, "Tensor"]  # the random numbers of an augmentation for one batch, by name

_CHUNK = 64  # images corrupted at a time: their bits stay in the processor's cache
_TILE = 1024  # rows and columns of a Gram matrix computed at a time: 8 MiB in float64, near the size of a processor's cache


@dataclass(frozen=True)
class Dataset(Part, ABC):
    """A training and a test split. A subclass writes `read`; `load` subsamples and checks every data set.

    Args:
        examples: how many training examples to keep, class-stratified where there are classes, drawn from the data stream (None: all).
        test_examples: likewise for the test split.
    """

    examples: int | None = field(default=None, kw_only=True)
    test_examples: int | None = field(default=None, kw_only=True)

    def validate(self) -> None:
        for name in ("examples", "test_examples"):
            value = getattr(self, name)
            self.require(value is None or value >= 1, f"{name} is a whole number >= 1 or None", value)

    @abstractmethod
    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        """Both splits at full size; `root` is the folder of the published data sets."""

    def load(self, root: Path | None = None, seeds: Seeds = Seeds()) -> Splits:
        """Both splits, subsampled and checked.

        Raises:
            DataError: a file is missing or damaged, a split is empty or too small, labels lie outside
                0 .. k - 1, only one class or target occurs, or an input is not finite.
        """
        splits = self.read(Path(root) if root is not None else None, seeds)
        for name, part in (("training", splits.train), ("test", splits.test)):
            self._check(name, part)
        train = self._subsample(splits.train, self.examples, "examples", seeds)
        kept = replace(splits, train=train, test=self._subsample(splits.test, self.test_examples, "test_examples", seeds))
        for name, part in (("training", kept.train), ("test", kept.test)):
            self._check_finite(name, part)
        return kept

    def _subsample(self, part: Examples, n: int | None, name: str, seeds: Seeds) -> Examples:
        if n is None or n == len(part):
            return part
        if n > len(part):
            raise DataError(f"{self.kind}: {name} is at most {len(part)}, the size of the split, got {n}. Ask for fewer.")
        strata = part.labels if part.values is None else part.labels * 0
        return part.at(stratified(strata.numpy(), n, seeds.rng("data", name)))

    def _check(self, name: str, part: Examples) -> None:
        labels = part.labels
        if len(part) == 0:
            raise DataError(f"{self.kind}: at least one example is required, the {name} split is empty. Check the source.")
        if len(part.inputs) != len(labels):
            raise DataError(f"{self.kind}: as many labels as inputs are required, the {name} split has {len(labels)} labels and {len(part.inputs)} inputs.")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= part.classes:
            raise DataError(f"{self.kind}: labels are whole numbers in 0..{part.classes - 1}, the {name} split has {low}..{high}. Renumber the classes.")
        if part.classes < 2 or (name == "training" and low == high):
            what, only = ("classes", f"class {low}") if part.values is None else ("different targets", f"{part.targets[0]:g}")
            raise DataError(f"{self.kind}: at least two {what} are required, the {name} split has only {only}. Nothing can be told apart.")

    def _check_finite(self, name: str, part: Examples) -> None:
        bad = [] if isinstance(part.inputs, Streamed) else (~part.inputs.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
        if bad:
            got = f"the {name} split has NaN or infinity in {len(bad)} examples, the first at position {bad[0]}"
            raise DataError(f"{self.kind}: finite inputs are required, {got}. Clean or drop them.")


class Corruption(Part, ABC):
    """A change of the data that removes information, drawn once from the corruption stream.

    `random` is False for a deterministic corruption (a blur, for example): another seed then changes nothing.
    """

    random: ClassVar[bool] = True

    def fitted(self, train: Examples, seeds: Seeds) -> Corruption:
        """This corruption with statistics of the data that it needs (moments, for example); by default itself."""
        return self

    @abstractmethod
    def apply(self, splits: Splits, seeds: Seeds = Seeds()) -> Splits:
        """The corrupted sample; the original stays unchanged."""


class LabelCorruption(Corruption):
    """Changes training labels only; test labels stay true and inputs stay as they are.

    A subclass that deals out the labels anew, so that each class stays exactly as large as it was, says so by `keeps_class_counts`.
    """

    keeps_class_counts: ClassVar[bool] = False

    @abstractmethod
    def labels(self, labels: np.ndarray[Any, Any], classes: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """The new labels of all training examples; int64, shape (n,)."""

    def transition(self, classes: int) -> np.ndarray[Any, Any] | None:
        """P(new label j | true class i) as a k x k matrix where labels are redrawn independently, or follow from the class; else None.

        The self-check of every trial tests the drawn labels against it. Without it, the check demands that labels change and are not renamed by class.
        """
        return None

    def require_labels(self, train: Examples) -> None:
        """Refuses the targets of a regression, unless this corruption only deals them out anew, or leaves them as they are."""
        if not self.keeps_class_counts and getattr(self, "level", 1) != 0:
            train.require_classes(self.kind, "Permute it: PermutedLabels.")

    def relabelled(self, train: Examples, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """The new labels of a training sample; by default what `labels` makes of its labels."""
        return self.labels(train.labels.numpy().copy(), train.classes, rng)

    def apply(self, splits: Splits, seeds: Seeds = Seeds()) -> Splits:
        import torch

        ready, train = self.fitted(splits.train, seeds), splits.train
        assert isinstance(ready, LabelCorruption)
        self.require_labels(train)
        drawn = np.asarray(ready.relabelled(train, seeds.rng("corruption", "labels")))
        if drawn.shape != tuple(train.labels.shape) or drawn.min() < 0 or drawn.max() >= train.classes:
            required, got = f"{len(train)} labels in 0..{train.classes - 1}", f"shape {drawn.shape} in {drawn.min()}..{drawn.max()}"
            raise DataError(f"{self.kind}: {required} are required, got {got}. Fix its `labels`.")
        return Splits(replace(train, labels=torch.from_numpy(drawn.astype(np.int64))), splits.test)


class PixelCorruption(Corruption):
    """Changes the inputs of both splits; labels stay as they are.

    `effect` says what it does, and the self-check of every trial holds it to that: "one permutation" of the values of all inputs, "a permutation each",
    or "noise" that does not depend on the input. None: it must change something, and do the same whenever an input is read.
    """

    effect: ClassVar[Literal["one permutation", "a permutation each", "noise"] | None] = None

    @abstractmethod
    def inputs(self, images: Tensor, indices: np.ndarray[Any, Any], split: str, seed: int) -> Tensor:
        """The corrupted inputs of some examples, a pure function of each example's input and (seed, split, index).

        Args:
            images: m inputs; must stay unchanged.
            indices: their positions in the split, shape (m,).
            split: "train" or "test".
            seed: the corruption stream's integer; `random_bits(seed, split, indices, count)` draws for all at once.
        """

    def normal_law(self, train: Examples) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of the normal law of every value of its noise, in a shape that broadcasts to one input; None: it states none."""
        return None

    def apply(self, splits: Splits, seeds: Seeds = Seeds()) -> Splits:
        splits.train.require_numbers(self.kind)
        ready = self.fitted(splits.train, seeds)
        assert isinstance(ready, PixelCorruption)
        seed = seeds.integer("corruption", "pixels")
        return Splits(ready._split(splits.train, "train", seed), ready._split(splits.test, "test", seed))

    def _split(self, part: Examples, split: str, seed: int) -> Examples:
        import torch

        if isinstance(part.inputs, Streamed):  # changed whenever they are read
            return replace(part, inputs=part.inputs.mapped(lambda images, indices: self.inputs(images, indices, split, seed)))  # type: ignore[arg-type]
        corrupted = torch.empty_like(part.inputs)
        for start in range(0, len(part), _CHUNK):
            chunk = slice(start, min(start + _CHUNK, len(part)))
            corrupted[chunk] = self.inputs(part.inputs[chunk], np.arange(chunk.start, chunk.stop), split, seed)
        return replace(part, inputs=corrupted)


class Augmentation(Part, ABC):
    """A random change of training images that keeps their content; drawn again in every epoch, never at evaluation.

    A subclass writes `draw` and `images`. Numbers are drawn on the CPU for the whole sample, once an epoch; a step
    takes the numbers of its examples and changes the whole batch on the device, without a Python step an image.
    An augmentation that combines several examples (mixup) sets `mixes` and writes `targets` too.
    """

    mixes: ClassVar[bool] = False

    @abstractmethod
    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        """The random numbers of one epoch by name, each array with one entry (or row) for each of n examples.

        Args:
            n: size of the sample.
            shape: of one image as `images` receives it: channels, height, width.
            rng: the stream of this augmentation in this epoch.

        Raises:
            InvalidPart: the augmentation does not apply to images of this shape.
        """

    @abstractmethod
    def images(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The augmented images of a batch; the argument stays unchanged.

        Args:
            images: m x channels x height x width, in [0, 1], before any whitening.
            drawn: the random numbers of this batch, m entries of each array that `draw` returned, on the device of the images.
        """

    def targets(self, targets: Tensor, drawn: Drawn) -> Tensor:
        """The targets of a batch, m x k with rows that sum to 1; by default unchanged."""
        return targets


class Architecture(Part, ABC):
    """A recipe for a network with fresh weights."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """A network from inputs of this shape to k scores, weights drawn from torch's generator.

        Raises:
            InvalidPart: the network does not accept inputs of this shape.
        """


class Optimizer(Part, ABC):
    """The update rule of a gradient step; its `lr` is the initial learning rate, > 0."""

    lr: float

    @abstractmethod
    def build(self, parameters: Sequence[Tensor], fused: bool = False) -> torch.optim.Optimizer:
        """The torch optimizer over these parameters; `fused` asks for one kernel a step where torch has one."""


@runtime_checkable
class CodedGram(Protocol):
    """A symmetric Gram matrix in 32 bits an entry; any tile decodes exactly to float64."""

    def tile(self, rows: slice, columns: slice) -> Tensor:
        """The codes of a tile; int32."""

    def decoded(self, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """The entries of these codes in this dtype."""


class Kernel(Part, ABC):
    """A symmetric positive semidefinite function k(x, z) of two inputs. A subclass writes `gram` and `diagonal`.

    Inputs have the shape that `Examples` gives them; a kernel flattens them where it needs to. A kernel that depends on
    the sample (its bandwidth, its filters) overrides `fitted`, which must be called first. `random` is True for a kernel
    whose `fitted` draws from the init stream: another seed then gives another kernel. A kernel of many explicit
    features overrides `gram_into` and `product`, so that no feature is computed twice.
    """

    random: ClassVar[bool] = False

    @abstractmethod
    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """The n x m matrix of k(x_i, z_j), in the dtype of x (float32 or float64) and on its device."""

    @abstractmethod
    def diagonal(self, x: Tensor) -> Tensor:
        """k(x_i, x_i), shape (n,), in the dtype of x: the diagonal of `gram(x, x)`."""

    def fitted(self, train: Examples, seeds: Seeds) -> Kernel:
        """This kernel with what depends on the data (a bandwidth, a whitening); by default itself."""
        return self

    def by_tiles(self, x: Tensor, z: Tensor, dtype: torch.dtype) -> Callable[[slice, slice], Tensor]:
        """A function of rows and columns that returns this tile of `gram(x, z)` in this dtype; shared work is done once."""
        return lambda rows, columns: self.gram(x[rows].to(dtype), z[columns].to(dtype))

    def coded(self, x: Tensor) -> CodedGram | None:
        """`gram(x, x)` in a lossless code of 32 bits an entry, where this kernel has one for these inputs; by default None."""
        return None

    def gram_into(self, out: Tensor, x: Tensor, z: Tensor) -> None:
        """Writes `gram(x, z)` in the dtype of `out`, tile by tile, with no second array of that size.

        Where x is z, half of the tiles are computed and mirrored, so that the result is exactly symmetric.
        """
        compute = self.by_tiles(x, z, out.dtype)
        for rows, columns in _tiles(len(x), len(z), x is z):
            tile = compute(rows, columns)
            if x is z and rows == columns:
                tile = (tile + tile.T) / 2
            out[rows, columns] = tile
            if x is z:
                out[columns, rows] = tile.T.contiguous()  # torch transposes by blocks only into contiguous memory

    def product(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """`gram(x, z) @ weights` in the dtype of the weights (m x c), tile by tile, without the whole Gram matrix.

        Where x is z, each tile serves twice, so that half of them are computed.
        """
        compute, turned = self.by_tiles(x, z, weights.dtype), weights.T.contiguous()  # c x m: a thin matrix is quicker from the left
        out = turned.new_zeros((len(turned), len(x)))
        for rows, columns in _tiles(len(x), len(z), x is z):
            tile = compute(rows, columns)
            out[:, rows] += turned[:, columns] @ tile.T
            if x is z and rows != columns:
                out[:, columns] += turned[:, rows] @ tile
        return out.T.contiguous()

    def scorer(self, z: Tensor, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """A function of x that returns `product(x, z, weights)`; work that calls share is done once."""
        return lambda x: self.product(x, z, weights)


def _tiles(n: int, m: int, symmetric: bool) -> Iterator[tuple[slice, slice]]:
    for row in range(0, n, _TILE):
        for column in range(0, min(row + 1, m) if symmetric else m, _TILE):
            yield slice(row, min(row + _TILE, n)), slice(column, min(column + _TILE, m))


class Learner(Part, ABC):
    """Turns a training sample into a scoring function; it never sees test examples.

    A learner around another one declares what its fits are for by `role`: "twins", "code", "part". It enters no key. One that reads `Examples.columns` and
    so takes text and missing values declares `reads_columns`, one that stores checkpoints `stores_checkpoints`.
    """

    role: ClassVar[str] = "fit"
    reads_columns: ClassVar[bool] = False
    stores_checkpoints: ClassVar[bool] = False

    @property
    def takes_columns(self) -> bool:
        """Whether this learner, or the one inside it, takes text and missing values."""
        return self.reads_columns or any(part.takes_columns for part in self.parts() if isinstance(part, Learner) and part is not self)

    @property
    def predicts_numbers(self) -> bool:
        """Whether this learner is a regressor, whose targets are numbers (`Examples.targets`); by default it tells classes apart."""
        return False

    def require_inputs(self, train: Examples) -> None:
        """Refuses columns of text and missing values unless this learner takes them, and a target that is not of its kind.

        Raises:
            DataError: a column holds some, and the text names it; or the target is numbers for a classifier, classes for a regressor.
        """
        if not self.takes_columns:
            train.require_numbers(self.kind)
        if not self.predicts_numbers:
            train.require_classes(self.kind)
        else:
            train.require_targets(self.kind)

    @abstractmethod
    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        """The fitted model. Deterministic for given seeds; an observer changes nothing."""

    def goals(self) -> Mapping[str, float]:
        """Column -> value at which training ends (an accuracy that is reached, a loss that is fallen to); no claim about a mean may lie inside these."""
        return {}


class Measure(Part, ABC):
    """A quantity of a fitted model on its training sample; it trains nothing."""

    @abstractmethod
    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        """Scalars and arrays by name.

        Raises:
            NotApplicable: the quantity is not defined for this fit; the text is shown in the empty cell.
        """
