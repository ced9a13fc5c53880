"""Any learner, made to say what the labels cost when each block of them is coded by what was learned from the blocks before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Examples, Fit, Learner, Observer, Part, Runtime, Seeds
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD


@dataclass(frozen=True)
class Prequential(Learner):
    """Fits another learner on growing parts of the sample and adds up -log2 p(label) of each next part; the model is that of the whole sample.

    The sample is put in random order and cut at n / 2^b, ..., n / 2, n. The first part costs log2 k bits a label; each next one is coded by the
    model that was fitted on all parts before it, and no other. A learner that finds nothing saves nothing: on uniformly random labels
    2^(n log2 k - L) has mean 1 for every learner, so more than 20 bits saved have a probability below 1e-6. Each fit costs half of the next.

    Args:
        learner: what is fitted.
        doublings: b, how many parts are coded by a model, >= 1.
        uniform: weight of the uniform distribution that is mixed into each prediction, in (0, 1]: no label then costs more than log2(k / uniform) bits.

    Returns:
        The fit on the whole sample. Facts besides its own: `code_bits` (L), `uniform_bits` (n log2 k), `saved_bits` (their difference; negative where the
        models did harm). Array `code`: the bits of each example, in the order of the sample.

    Raises:
        InvalidPart: a field is out of range, or a part of the sample would be empty.

    Source:
        Dawid 1984; Blier, Ollivier 2018, "The description length of deep learning models".
    """

    learner: Learner
    doublings: int = 4
    uniform: float = 0.01

    def validate(self) -> None:
        self.require(self.doublings >= 1, "doublings is a whole number >= 1", self.doublings)
        self.require(0 < self.uniform <= 1, "uniform is a weight in (0, 1]", self.uniform)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), doublings=2),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        cuts = [0, *(-(-n // 2**power) for power in range(self.doublings, 0, -1)), n]
        fewest = 2**self.doublings + 1
        self.require(n >= fewest, f"at least {fewest} examples are required for {self.doublings} doublings", n, "Use fewer doublings")
        order = torch.from_numpy(seeds.rng("order", "prequential").permutation(n))
        code = torch.empty(n, dtype=torch.float64)
        code[order[: cuts[1]]] = np.log2(train.classes)
        for start, end in pairwise(cuts[1:]):
            known, coded = train.at(order[:start]), order[start:end]
            code[coded] = self._bits(self.learner.fit(known, seeds, runtime=runtime), train.at(coded))
        fit = self.learner.fit(train, seeds, observe, runtime)
        bits, uniform = float(code.sum()), n * float(np.log2(train.classes))
        facts = {"code_bits": bits, "uniform_bits": uniform, "saved_bits": uniform - bits}
        return replace(fit, facts={**fit.facts, **facts}, arrays={**fit.arrays, "code": code.numpy()})

    def _bits(self, fit: Fit, block: Examples) -> Tensor:
        """What the labels of the block cost; scores are softened into probabilities where they are none."""
        scores = torch.cat([fit.scores(few).double().cpu() for few in block.inputs.split(2048)])
        shares = scores if fit.output == "probabilities" else scores.softmax(1)
        shares = torch.nan_to_num(shares, nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
        total = shares.sum(1, keepdim=True)
        shares = torch.where(total > 0, shares / total, 1 / block.classes)  # whatever a model says, its probabilities add up to 1
        mixed = (1 - self.uniform) * shares + self.uniform / block.classes
        return -mixed.gather(1, block.labels[:, None]).squeeze(1).log2()
