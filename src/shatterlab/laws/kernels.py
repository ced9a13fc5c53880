"""Laws of kernels: symmetric, positive semidefinite, the same in every number format, block and order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from shatterlab.core import Examples, Kernel
from shatterlab.core.errors import DataError, InvalidPart, NotApplicable
from shatterlab.laws import samples
from shatterlab.laws.law import OTHER_SEEDS, SEEDS, changed, copied, demand, differing, laws_in, leaving_generators_alone

_SIZE = 90  # examples, of which a third are another sample's
_EXACT = 1e-9  # of sqrt(k(x, x) k(z, z)): float64 keeps 16 digits, sums of 1e4 terms and one cancellation leave 9
_SINGLE = 2e-3  # likewise in float32: a cosine rounded to 1e-7 moves an angle by 3e-4


def is_symmetric(part: Kernel) -> None:
    """K(x, z) is the transpose of K(z, x)."""
    for kernel, x, z in _cases(part):
        apart = _apart(kernel, kernel.gram(x, z), kernel.gram(z, x).T, x, z)
        demand(part, apart <= _EXACT, "k(x, z) = k(z, x)", f"a relative difference of {apart:.2g}", "Treat both arguments alike.")


def is_positive_semidefinite(part: Kernel) -> None:
    """No eigenvalue of a Gram matrix is below 0 by more than rounding."""
    for kernel, x, _ in _cases(part):
        scale = kernel.diagonal(x).abs().clamp_min(torch.finfo(x.dtype).tiny).rsqrt()
        gram = kernel.gram(x, x) * scale[:, None] * scale[None, :]
        least = torch.linalg.eigvalsh((gram + gram.T) / 2)[0].item()
        room = len(x) * _EXACT  # the perturbation of an eigenvalue is at most n times that of an entry
        demand(part, least >= -room, f"eigenvalues of the scaled Gram matrix are >= -{room:.1g}", f"{least:.3g}", "Is it an inner product of features?")


def has_the_diagonal_that_it_says(part: Kernel) -> None:
    """Its `diagonal` is the diagonal of its Gram matrix."""
    for kernel, x, _ in _cases(part):
        diagonal, expected = kernel.diagonal(x), kernel.gram(x, x).diagonal()
        demand(part, diagonal.shape == expected.shape, f"diagonal has shape {tuple(expected.shape)}", tuple(diagonal.shape), "Give one number an input.")
        apart = ((diagonal - expected).abs() / expected.abs().clamp_min(torch.finfo(x.dtype).tiny)).max().item()
        demand(part, apart <= _EXACT, "diagonal(x) is that of gram(x, x)", f"a relative difference of {apart:.2g}", "Correct `diagonal`.")


def looks_at_pairs_alone(part: Kernel) -> None:
    """A value depends on its pair alone: pair by pair it is what it is in a matrix."""
    for kernel, x, z in _cases(part):
        whole = kernel.gram(x, z)
        rows, columns = range(0, len(x), 17), range(0, len(z), 7)
        alone = torch.stack([torch.cat([kernel.gram(x[i : i + 1], z[j : j + 1]).flatten() for j in columns]) for i in rows])
        apart = _apart(kernel, whole[list(rows)][:, list(columns)], alone, x[list(rows)], z[list(columns)])
        remedy = "Compute what depends on the sample in `fitted`."
        demand(part, apart <= _EXACT, "pair by pair k is what it is in a matrix", f"a relative difference of {apart:.2g}", remedy)


def goes_by_tiles(part: Kernel) -> None:
    """Tiles agree with the whole matrix: `gram_into` and `product` agree with `gram`."""
    for kernel, x, z in _cases(part):
        weights = torch.linspace(-1, 1, 2 * len(z), dtype=x.dtype).reshape(len(z), 2)
        for other, left, right in ((z, x, z), (x, x, x)):
            whole, filled = kernel.gram(left, right), x.new_full((len(left), len(right)), torch.nan)
            kernel.gram_into(filled, left, right)
            apart = _apart(kernel, filled, whole, left, other)
            demand(part, apart <= _EXACT, "gram_into writes what gram gives", f"a relative difference of {apart:.2g}", "Correct `gram_into`.")
            right_weights = weights.repeat(2, 1)[: len(right)]
            room = _EXACT * (kernel.diagonal(left).sqrt()[:, None] * (kernel.diagonal(right).sqrt()[:, None] * right_weights.abs()).sum(0))
            excess = ((kernel.product(left, right, right_weights) - whole @ right_weights).abs() - room).max().item()
            demand(part, excess <= 0, "product gives gram times the weights", f"{excess:.2g} more than rounding", "Correct `product`.")


def keeps_the_number_format(part: Kernel) -> None:
    """Inputs in float32 give float32 out, equal to float64 up to its rounding."""
    for kernel, x, z in _cases(part):
        single = kernel.gram(x.float(), z.float())
        demand(part, single.dtype == torch.float32, "gram is in the dtype of its inputs", single.dtype, "Make constants of that dtype.")
        demand(part, kernel.diagonal(x.float()).dtype == torch.float32, "diagonal is in the dtype of its inputs", "another", "Make constants of that dtype.")
        apart = _apart(kernel, single.double(), kernel.gram(x, z), x, z)
        demand(part, apart <= _SINGLE, "float32 agrees with float64", f"a relative difference of {apart:.2g}", "Look for cancellation.")


def is_the_same_each_time(part: Kernel) -> None:
    """The same sample and seeds give the same kernel, bit for bit, and generators are left alone."""
    for train in _samples(part):
        x = train.inputs.double()
        with leaving_generators_alone(part, "fitted and gram"):
            one, other = (part.fitted(copied(train), SEEDS).gram(x, x) for _ in range(2))
        count = differing(one, other)
        demand(part, not count, "two kernels from one seed are one", f"{count} rows that differ", "Draw from `seeds` only.")


def follows_its_seed(part: Kernel) -> None:
    """Another seed gives another kernel where it draws something, else the same."""
    for train in _samples(part):
        x = train.inputs.double()
        differ = differing(part.fitted(train, SEEDS).gram(x, x), part.fitted(train, OTHER_SEEDS).gram(x, x))
        remedy = "If nothing is random by design, say `random: ClassVar[bool] = False`, else True, and draw from the init stream."
        demand(part, bool(differ) == part.random, f"another seed gives {'another' if part.random else 'the same'} kernel", f"{differ} other rows", remedy)


def changes_nothing(part: Kernel) -> None:
    """The sample, the inputs and the configuration stay as they are."""
    for train in _samples(part):
        before = copied(train)
        kernel = part.fitted(train, SEEDS)
        kernel.gram(train.inputs, train.inputs), kernel.diagonal(train.inputs)
        demand(part, not (got := changed(before, train)), "the sample stays as it is", got, "Work on a copy.")
        demand(part, kernel.identity() == part.identity(), "fitted keeps the configuration", kernel.identity(), "Put fitted values in a `fitted_field`.")


def _samples(part: Kernel) -> Iterator[Examples]:
    refusals = 0
    for train in (samples.images(_SIZE, 10).train, samples.table(_SIZE, 10).train):
        try:
            part.fitted(train, SEEDS).gram(train.inputs[:2], train.inputs[:2])
        except (InvalidPart, DataError):
            refusals += 1
            continue
        yield train
    if refusals == 2:
        raise NotApplicable("it refuses the images and the table of the laws")


def _cases(part: Kernel) -> Iterator[tuple[Kernel, Tensor, Tensor]]:
    for train in _samples(part):
        kernel = part.fitted(dataclasses.replace(train), SEEDS)
        inputs = train.inputs.double()
        yield kernel, torch.cat([inputs[:60], inputs[:3]]), inputs[50:]


def _apart(kernel: Kernel, one: Tensor, other: Tensor, x: Tensor, z: Tensor) -> float:
    if one.shape != other.shape or bool(one.isnan().any()) or bool(other.isnan().any()):
        return float("inf")
    bound = (kernel.diagonal(x)[:, None] * kernel.diagonal(z)[None, :]).sqrt()
    return ((one - other).abs() / bound.clamp_min(torch.finfo(bound.dtype).tiny)).max().item()


LAWS = laws_in(__name__)
