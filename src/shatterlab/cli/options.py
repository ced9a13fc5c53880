"""Options that `run`, `report` and `show` share: which experiment, and where its trials run."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from shatterlab.core.errors import InvalidPart

if TYPE_CHECKING:
    from shatterlab.core import Dataset, Runtime
    from shatterlab.design.experiment import Experiment, Scale

STORE = Path("shatterlab.sqlite")
ScaleName = Literal["smoke", "laptop", "paper"]
Precision = Literal["float32", "bfloat16"]


@Parameter(name="*")
@dataclass(frozen=True)
class ExperimentOptions:
    """What an experiment is made of; the same for `run`, `report` and `show`.

    Attributes:
        scale: How large: smoke (seconds), laptop (2 cores, no GPU), paper.
        replicates: Runs of each setting, in place of the scale's.
        model: A model of your own in place of the experiment's: "module:factory", "path/to/file.py:factory", a
            scikit-learn class, or an architecture of `shatterlab list`. For figure1a, figure1b, figure1c, capacity, convergence, ledger.
        data: The folder that holds the published data sets; beside --model also an .npz file, a folder of class
            folders, or a data set of `shatterlab list`.
        examples: Training examples to keep for your model.
        epochs: Budget of your torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of your torch model. Default: 0.01.
        batch_size: Examples a step of your torch model. Default: 64.
        precision: Number format of your torch model's products. Default: float32.
    """

    scale: ScaleName = "smoke"
    replicates: int | None = None
    model: str | None = None
    data: Path | None = None
    examples: int | None = None
    epochs: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    precision: Precision | None = None

    def experiment(self, name: str) -> tuple[Experiment, Path | None]:
        """The experiment of that name or file, and the data root.

        Raises:
            InvalidPart: the experiment takes no model, or options of a model are given without one.
            ShatterlabError: the model or the data cannot be used.
        """
        from shatterlab import experiments
        from shatterlab.design.experiment import Scale

        scale = replace(Scale.named(self.scale), **without_none(replicates=self.replicates))
        maker = experiments.load(name) if name.endswith(".py") else experiments.find(name)
        if self.model is not None:
            if not {"learner", "dataset"} <= set(inspect.signature(maker).parameters):
                models = "figure1a, figure1b, figure1c, capacity, convergence, judging and ledger do"
                raise InvalidPart(f"run: an experiment that takes a model is required, got {name}. {models}.")
            options, root = self._model_and_data(scale)
            return maker(scale, **options), root
        unused = self._recipe() | without_none(examples=self.examples)
        if unused:
            raise InvalidPart(f"run: {', '.join(unused)} change a model of your own, got no --model. Name one, or leave them out.")
        if self.data is not None and self.data.is_file():
            raise InvalidPart(f"run: --data is the folder that holds the published data sets, got the file {self.data}. Name a --model to try on it.")
        return maker(scale), self.data

    def words(self, name: str) -> list[str]:
        """The name and the options as they are written on the command line."""
        options = without_none(**{item.name: getattr(self, item.name) for item in fields(self)})
        return [name, *(word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", str(value)))]

    def _recipe(self) -> dict[str, Any]:
        return without_none(epochs=self.epochs, lr=self.lr, batch_size=self.batch_size, precision=self.precision)

    def _model_and_data(self, scale: Scale) -> tuple[dict[str, Any], Path | None]:
        """The learner and the data set of the user's model, as arguments of the experiment, and the data root."""
        from shatterlab.core import Learner, Runtime, Seeds
        from shatterlab.readers.published_files import is_root
        from shatterlab.studies import model_and_data as user
        from shatterlab.trials.trial import sample

        root = self.data if self.data is not None and is_root(self.data) else None
        source = _default_data(scale) if self.data is None or root else user.dataset(self.data)
        source = replace(source, **without_none(examples=self.examples))
        model, recipe = user.model_from_options(self.model, None, {"stop": "overfit", **self._recipe()}, "run")
        if isinstance(model, Learner):
            recipe.pop("stop", None)
        train = sample(source, Runtime(data=root), Seeds.replicate(0)).train
        (learner,) = user.learners(model, len(train), "run", **recipe)
        return {"learner": learner, "dataset": source}, root


@Parameter(name="*")
@dataclass(frozen=True)
class RuntimeOptions:
    """Where and how trials run; rows say what it was.

    Attributes:
        threads: Of each process: more than one for a few large trials, a kernel system of the paper's size, say.
        device: Where trials run: cpu or cuda.
        readers: Threads that read photos ahead. Default: as many as threads.
        checkpoints: A folder for the state of trainings: the same command then resumes one that was interrupted.
        checkpoint_every: Seconds between two checkpoints.
        trial_timeout: Seconds after which a trial is ended and counts as failed. Default: no limit.
    """

    threads: int = 1
    device: str = "cpu"
    readers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    checkpoints: Path | None = None
    checkpoint_every: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 600.0
    trial_timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None

    def runtime(self, root: Path | None) -> Runtime:
        """The runtime with this data root."""
        from shatterlab.core import Runtime

        return Runtime(data=root, **{item.name: getattr(self, item.name) for item in fields(self)})


def without_none(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _default_data(scale: Scale) -> Dataset:
    """The data set for a user's model where no data is named: few images, as nothing is known of the model's speed."""
    from shatterlab.datasets.cifar import CIFAR10
    from shatterlab.datasets.digits import Digits

    return scale.pick(
        smoke=Digits(examples=scale.examples, test_examples=scale.test_examples),
        laptop=CIFAR10(crop=28, examples=1000, test_examples=scale.test_examples),
        paper=CIFAR10(crop=28),
    )
