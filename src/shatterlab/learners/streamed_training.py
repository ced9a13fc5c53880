"""Training by batches that are read as they are needed: ImageNet's size, several devices, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import nn

from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Architecture, Augmentation, Examples, Fit, Learner, Observer, Optimizer, Runtime, Seeds
from shatterlab.core.user_code import user_code
from shatterlab.optimizers.rms_prop import RMSProp
from shatterlab.training.checkpoint import Checkpoint
from shatterlab.training.device import usable_device
from shatterlab.training.distributed import Ranks
from shatterlab.training.memory import require_memory
from shatterlab.training.streamed_loop import Run, Symmetric
from shatterlab.training.torch_seed import seeded


@dataclass(frozen=True)
class StreamedTraining(Learner):
    """Minimizes the training loss of a network over batches that are read as they are needed: the recipe of the paper's ImageNet runs.

    The learning rate of epoch e is lr * decay^floor((e - 1) / decay_epochs). Inputs in [0, 1] are scaled to [-1, 1] by the model's first
    layer. The loss is the cross-entropy to smoothed labels, plus `auxiliary` times that of the auxiliary scores where a network
    has them. Order, augmentation and dropout of a step follow from the seeds and its number alone, so that a run stopped anywhere goes on
    from its checkpoint (`Runtime.checkpoints`) to the same weights, on a processor bit for bit.

    Started by torchrun, all processes train one model: each takes its share of every batch, gradients are averaged, batch statistics are
    those of the whole batch, and the losses are those of a single process up to rounding. Dropout masks differ then.

    Args:
        architecture: the network; its `with_auxiliary` is used where it has one.
        optimizer: the rule of a step and the initial learning rate. TensorFlow's RMSProp adds eps inside the root, torch's outside.
        decay: factor on the learning rate every `decay_epochs` epochs, in (0, 1].
        decay_epochs: epochs, >= 1.
        batch_size: examples a step over all processes, >= 2. A last batch of less than half the size joins the one before.
        epochs: the budget, >= 1.
        stop: training accuracy in evaluation mode, in (0, 1], at which it ends; None: at `epochs`.
        check_every: epochs between measurements of the training split in evaluation mode, >= 1; the last epoch is always measured.
        smoothing: share of each label spread evenly over the classes, in [0, 1).
        auxiliary: weight of the auxiliary loss, >= 0.
        augmentation: random changes of the training images, applied in this order.
        precision: "float32"; "bfloat16" or "float16" for the products of training and scoring (float16 with scaled gradients).

    Raises:
        InvalidPart: a field is out of range, the network does not give k scores, or there are too many processes for the batch.
        UserCodeError: the network fails in its forward pass.

    Source:
        Zhang et al. 2017, appendix A, which reuses TensorFlow's Inception; Szegedy et al. 2015, "Rethinking the Inception architecture".
    """

    architecture: Architecture
    optimizer: Optimizer = RMSProp(lr=0.045, alpha=0.9, momentum=0.9, eps=1.0)
    decay: float = 0.94
    decay_epochs: int = 2
    batch_size: int = 32
    epochs: int = 100
    stop: float | None = None
    check_every: int = 1
    smoothing: float = 0.0
    auxiliary: float = 0.4
    augmentation: tuple[Augmentation, ...] = ()
    precision: Literal["float32", "bfloat16", "float16"] = "float32"

    def validate(self) -> None:
        self.require(0 < self.decay <= 1, "decay is a factor in (0, 1]", self.decay)
        for name, least in (("decay_epochs", 1), ("batch_size", 2), ("epochs", 1), ("check_every", 1)):
            self.require(getattr(self, name) >= least, f"{name} is a whole number >= {least}", getattr(self, name))
        self.require(self.stop is None or 0 < self.stop <= 1, "stop is a training accuracy in (0, 1], or None", self.stop)
        self.require(0 <= self.smoothing < 1, "smoothing is a share in [0, 1)", self.smoothing)
        self.require(isfinite(self.auxiliary) and self.auxiliary >= 0, "auxiliary is a finite weight >= 0", self.auxiliary)

    @classmethod
    def specimens(cls) -> tuple[StreamedTraining, ...]:
        return (cls(SmallInception(width=0.04), RMSProp(lr=0.01, eps=1.0), epochs=2, batch_size=30, smoothing=0.1),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        ranks, model = Ranks(device), self.build(train, seeds, runtime)
        initial = {name: value.detach().cpu().clone() for name, value in model.named_parameters()}
        run = Run(self, model, train, seeds, ranks, runtime, Checkpoint(self, seeds, train, runtime))
        for progress in run.epochs(observe):
            if observe is not None:
                with seeded(None, device):
                    observe(progress)
        return Fit(run.scores, "logits", model, initial, run.facts)

    def build(self, train: Examples, seeds: Seeds = Seeds(), runtime: Runtime = Runtime()) -> nn.Sequential:
        """The model as training will start from it: scaling and network, tried on two examples.

        Raises:
            InvalidPart: it does not give k scores, has nothing to train, or memory cannot hold it.
            UserCodeError: it cannot be built, or its forward pass fails.
        """
        device = usable_device(runtime)
        require_memory(self.architecture, self.optimizer, train.shape, train.classes, device)
        with seeded(seeds.integer("init"), device):
            network = self.architecture.build(train.shape, train.classes)
        model = nn.Sequential(Symmetric(), network).to(device)
        with user_code(f"{self.kind}: the forward pass of {type(network).__name__}"), torch.no_grad():
            scores = model.eval()(train.inputs[:2].to(device))
        wanted = f"the model gives one score for each of {train.classes} classes, shape {(2, train.classes)}"
        shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        self.require(shape == (2, train.classes), wanted, shape, "Change its last layer")
        self.require(any(value.requires_grad for value in model.parameters()), "the model has at least one trainable parameter", "none")
        return model.to(memory_format=torch.channels_last) if len(train.shape) == 3 else model  # type: ignore[call-overload, no-any-return]

    def rate(self, epoch: int) -> float:
        """The learning rate of epoch 1, 2, ..."""
        return float(self.optimizer.lr * self.decay ** ((epoch - 1) // self.decay_epochs))
