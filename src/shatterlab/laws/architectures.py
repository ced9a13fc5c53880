"""Laws of architectures: fresh weights from torch's generator alone, one score a class, everything trainable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from shatterlab.core import Architecture
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.laws.law import demand, differing, global_generators, laws_in
from shatterlab.training.torch_seed import seeded

_LARGE: tuple[tuple[tuple[int, ...], int], ...] = (((3, 32, 32), 10), ((3, 80, 80), 3))
_SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (((3, 6, 6), 5), ((1, 9, 8), 2), ((7,), 3), *_LARGE)
_CPU = torch.device("cpu")


def takes_some_input(part: Architecture) -> None:
    """It takes images or tables of some size, and refuses others as InvalidPart, in one line."""
    refusals = {shape: _refusal(part, shape, classes) for shape, classes in _SHAPES}
    for shape, refusal in refusals.items():
        got = f"{type(refusal).__name__}: {refusal}".partition("\n")[0]
        proper = refusal is None or isinstance(refusal, InvalidPart)
        demand(part, proper, f"shape {shape} is taken, or refused as InvalidPart", got, "Check the shape in `build`.")
    tried = ", ".join(str(shape) for shape in refusals)
    demand(part, None in refusals.values(), f"one of the shapes {tried} is taken", "a refusal of each", "Let `build` follow its shape.")


def gives_a_score_a_class(part: Architecture) -> None:
    """From m inputs come m x k finite scores."""
    for shape, classes in _accepted(part):
        network = _build(part, shape, classes).eval()
        for m in (1, 4):
            scores = network(_inputs(m, shape))
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            demand(part, got == (m, classes), f"{m} inputs of shape {shape} have scores of shape {(m, classes)}", got, "Let the last layer follow `classes`.")
            demand(part, scores.isfinite().all(), f"scores of inputs of shape {shape} are finite", "NaN or infinity", "Check the initial weights.")


def draws_the_same_weights(part: Architecture) -> None:
    """The same state of torch's generator gives the same weights."""
    for shape, classes in _accepted(part):
        one, other = (_build(part, shape, classes).state_dict() for _ in range(2))
        differ = [name for name in one if name not in other or not torch.equal(one[name], other[name])]
        same = one.keys() == other.keys() and not differ
        got = f"{len(differ)} tensors that differ ({', '.join(differ[:3])})"
        demand(part, same, f"two builds for shape {shape} from one state agree", got, "Draw from torch's process-wide generator only.")


def seeds_nothing(part: Architecture) -> None:
    """It draws from torch's generator without seeding it, and leaves the others alone."""
    shape, classes = _first(part)
    states = []
    for seed in (1, 2):
        with seeded(seed, _CPU):
            before = global_generators()
            part.build(shape, classes)
            after = global_generators()
        moved = [name for name in ("numpy", "random") if before[name] != after[name]]
        demand(part, not moved, "only torch's generator is drawn from", f"a changed state of {', '.join(moved)}", "Use torch.nn.init.")
        states.append(after["torch"])
    demand(part, states[0] != states[1], "torch's generator is not seeded", "one and the same state after two builds from different ones", "Seed nothing.")


def builds_a_fresh_network(part: Architecture) -> None:
    """Each build has weights of its own: none is shared with an earlier network."""
    shape, classes = _first(part)
    one, other = (_build(part, shape, classes) for _ in range(2))
    mine = {value.data_ptr() for value in one.parameters()}
    shared = [name for name, value in other.named_parameters() if value.data_ptr() in mine]
    got = f"{len(shared)} shared ({', '.join(shared[:3])})"
    demand(part, one is not other and not shared, "two builds share no parameter", got, "Create the module inside `build`, keep none.")


def reaches_every_parameter(part: Architecture) -> None:
    """There is a trainable parameter, and the loss has a finite gradient for each."""
    for shape, classes in _accepted(part):
        network = _build(part, shape, classes).train()
        with seeded(5, _CPU):
            both: Any = getattr(network, "with_auxiliary", None)
            scores = both(_inputs(8, shape)) if both else (network(_inputs(8, shape)),)
            losses = [nn.functional.cross_entropy(output, torch.arange(8) % classes) for output in scores if output is not None]
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        trainable = {name: value.grad for name, value in network.named_parameters() if value.requires_grad}
        demand(part, trainable, "there is a trainable parameter", "none", "Register layers as attributes of the module.")
        cut = [name for name, gradient in trainable.items() if gradient is None or not gradient.isfinite().all()]
        got = f"none for {', '.join(cut[:3])}"
        demand(part, not cut, "every trainable parameter has a finite gradient", got, "Use it in `forward`, or set requires_grad to False.")


def evaluates_the_same_twice(part: Architecture) -> None:
    """In evaluation mode scores are a function of the input: the same twice, whatever else is in the batch."""
    for shape, classes in _accepted(part):
        network, inputs = _build(part, shape, classes).eval(), _inputs(6, shape)
        buffers = {name: value.clone() for name, value in network.state_dict().items()}
        with torch.no_grad():
            one, other, alone = network(inputs), network(inputs), network(inputs[2:3])
        remedy = "Let dropout and the like follow `self.training`."
        demand(part, torch.equal(one, other), "scores in evaluation mode are the same twice", f"{differing(one, other)} of 6 that differ", remedy)
        moved = [name for name, value in network.state_dict().items() if not torch.equal(value, buffers[name])]
        demand(part, not moved, "scoring in evaluation mode changes no state", ", ".join(moved[:3]), remedy)
        # sums in another order: float32 rounding, amplified by at most a few layers
        close = torch.allclose(one[2:3], alone, rtol=1e-4, atol=1e-4 * (1 + one.abs().max().item()))
        demand(part, close, "an input's scores do not depend on the rest of the batch", f"a change of {(one[2] - alone[0]).abs().max():.2g}", remedy)


def _accepted(part: Architecture) -> Iterator[tuple[tuple[int, ...], int]]:
    count = 0
    for shape, classes in _SHAPES:
        if (shape, classes) in _LARGE and count:
            return
        if _refusal(part, shape, classes) is None:
            count += 1
            yield shape, classes


def _refusal(part: Architecture, shape: tuple[int, ...], classes: int) -> Exception | None:
    try:
        with seeded(7, _CPU):
            part.build(shape, classes)
    except Exception as refusal:  # the law about refusals judges it, the others do not
        return refusal
    return None


def _first(part: Architecture) -> tuple[tuple[int, ...], int]:
    if accepted := next(_accepted(part), None):
        return accepted
    raise NotApplicable("it takes none of the inputs that the laws have")


def _build(part: Architecture, shape: tuple[int, ...], classes: int) -> nn.Module:
    with seeded(7, _CPU):
        network = part.build(shape, classes)
    demand(part, isinstance(network, nn.Module), "build gives a torch module", type(network).__name__, "Return the network.")
    return network


def _inputs(m: int, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(m, *shape, generator=torch.Generator().manual_seed(9))


LAWS = laws_in(__name__)
