"""What `run`, `report` and `show` take alike, and where trials run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

if TYPE_CHECKING:
    from shatterlab.core import Runtime
    from shatterlab.design.experiment import Experiment

ScaleName = Literal["smoke", "laptop", "paper"]
Precision = Literal["float32", "bfloat16"]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
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
        """The experiment of that name, and the data root."""
        from shatterlab.cli.find_experiment import experiment
        from shatterlab.design.experiment import Scale

        scale = replace(Scale.named(self.scale), **given(replicates=self.replicates))
        recipe = given(epochs=self.epochs, lr=self.lr, batch_size=self.batch_size, precision=self.precision)
        return experiment(name, scale, self.model, self.data, self.examples, recipe)

    def words(self, name: str) -> list[str]:
        """The name and the options as they are written on the command line."""
        written = {item.name: getattr(self, item.name) for item in fields(self)}
        return [name, *(word for option, value in written.items() if value is not None for word in (f"--{option.replace('_', '-')}", str(value)))]


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Where and how trials run; it decides no result.

    Attributes:
        threads: Of each process: more than one for a few large trials, a kernel system of the paper's size, say.
        device: Where trials run: cpu or cuda.
        readers: Threads that read photos ahead. Default: as many as threads.
        checkpoints: A folder for the state of trainings on photos: the same command then goes on in the middle of one.
        checkpoint_every: Seconds between two such states.
    """

    threads: int = 1
    device: str = "cpu"
    readers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    checkpoints: Path | None = None
    checkpoint_every: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 600.0

    def runtime(self, root: Path | None) -> Runtime:
        """The runtime with this data root."""
        from shatterlab.core import Runtime

        return Runtime(data=root, **{item.name: getattr(self, item.name) for item in fields(self)})


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}
