"""From a recipe and a sample to a fitted network: the model that training starts from, and the run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Observer, Runtime, Seeds
from shatterlab.core.user_code import user_code
from shatterlab.training.checkpoint import Checkpoint
from shatterlab.training.device import require_memory, usable_device
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import require_same_shape
from shatterlab.training.loop import TrainingLoop
from shatterlab.training.preprocessing import laid_out
from shatterlab.training.recipe import GradientTraining
from shatterlab.training.torch_seed import seeded


def fit_network(recipe: GradientTraining, train: Examples, seeds: Seeds, observe: Observer | None, runtime: Runtime) -> Fit:
    """The fitted network; with `runtime.checkpoints`, a run that was stopped goes on where it was, on a processor to the same bits."""
    device = usable_device(runtime)
    ranks, model = Ranks(device, join=recipe.distributed), build_model(recipe, train, seeds, runtime)
    initial = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in model.named_parameters()}
    feed, stopping = recipe.feed_and_stopping(model, train, seeds, ranks, runtime)
    checkpoint = Checkpoint(recipe, seeds, train, runtime)
    loop = TrainingLoop(recipe, model, feed, stopping, ranks, checkpoint)
    with seeded(seeds.integer("order", "dropout"), device), checkpoint.written_on_termination():
        for progress in loop.epochs(observe):
            if observe is not None:
                with seeded(None, device):
                    observe(progress)
    return Fit(loop.scores, recipe.output, model, initial, loop.facts)


def build_model(recipe: GradientTraining, train: Examples, seeds: Seeds, runtime: Runtime) -> nn.Sequential:
    """The model as training will start from it: input layer and network, tried on two examples.

    Raises:
        InvalidPart: it does not give k scores, has nothing to train, or memory cannot hold it.
        UserCodeError: it cannot be built, or its forward pass fails.
    """
    device, shape = usable_device(runtime), recipe.input_shape(train)
    require_memory(recipe.architecture, recipe.optimizer, shape, train.classes, device)
    with seeded(seeds.integer("init"), device):
        network = recipe.architecture.build(shape, train.classes)
    model = nn.Sequential(recipe.input_layer(train), network).to(device)
    sample = Examples(train.inputs[:2], train.labels[:2], train.classes, train.levels)
    inputs = sample.inputs.to(device)
    _probe(recipe, model, inputs, train.classes)
    if recipe.augmentation:
        require_same_shape(recipe.kind, recipe.augmentation, sample, lambda images: model[0](images.to(device)), shape)
    return laid_out(model, inputs)


def _probe(recipe: GradientTraining, model: nn.Sequential, inputs: Tensor, classes: int) -> None:
    model.eval()
    with user_code(f"{recipe.kind}: the forward pass of {type(model[1]).__name__}"), torch.no_grad():
        scores = model(inputs.clone())  # its own, since a network may work in place
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    required = f"the model gives one score for each of {classes} classes, shape {(len(inputs), classes)}"
    recipe.require(shape == (len(inputs), classes), required, shape, "Change its last layer")
    trainable = any(value.requires_grad for value in model.parameters())
    recipe.require(trainable, "the model has at least one trainable parameter", "none")
