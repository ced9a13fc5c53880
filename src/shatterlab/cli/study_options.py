"""Options that the studies of one's own model share: which model and data, and where its trials run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter, validators

from shatterlab.cli.options import STORE, Precision, without_none
from shatterlab.cli.terminal import interruptible, workers_or_cores

if TYPE_CHECKING:
    from shatterlab.studies.run import Form, StudyResult

Result = TypeVar("Result", bound="StudyResult")


@Parameter(name="*")
@dataclass(frozen=True)
class StudyOptions:
    """Which model, on which data, and where its trials run; the same for `audit`, `memorization` and `suspicious`.

    Attributes:
        model: "module:factory" (a torch module's), "path/to/file.py:factory", a scikit-learn class as
            "sklearn.ensemble:RandomForestClassifier", or an architecture of `shatterlab list`. Default: small nets, where the command has a default.
        recipe: Your own training, "module:function", in place of a model.
        arguments: An argument of a scikit-learn class, "n_estimators=200", or a field of a torch model's optimizer or training,
            "weight_decay=0.01"; again for each further one.
        data: An .npz, .csv or .parquet file, a folder of class folders or of Hugging Face's save_to_disk, or a data set of
            `shatterlab list`. Default: digits.
        target: The column of a table with the classes.
        group: A column of a table, a patient's number, say, whose values each stay on one side of a split.
        time: A column of a table that orders its rows: the latest quarter is the test split.
        split: A column of a table that says train or test.
        examples: Keep only so many training examples, class-stratified.
        size: Side in pixels of the square images of a folder. Default: 32. Large folders are read from disk batch by batch.
        epochs: Budget of a torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of a torch model. Default: 0.01; 0.05 for the default nets.
        batch_size: Examples a step of a torch model. Default: 64.
        precision: Number format of a torch model's products. Default: float32.
        optimizer: Of a torch model: SGD, Adam, AdamW or RMSProp. Default: SGD.
        augmentation: Of a torch model's training images: HorizontalFlip, say; again for each further one.
        whiten: Whether a torch model's inputs are whitened (images) or standardized (columns).
        store: Where rows are kept; rows already there are not computed again.
        workers: Processes; default: one a core.
        device: Where trials run: cpu or cuda.
        trial_timeout: Seconds after which a trial is ended and counts as failed. Default: no limit.
    """

    model: str | None = None
    recipe: str | None = None
    arguments: Annotated[tuple[str, ...], Parameter(name="--set")] = ()
    data: Path | str | None = None
    target: str | None = None
    group: str | None = None
    time: str | None = None
    split: str | None = None
    examples: int | None = None
    size: int | None = None
    epochs: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    precision: Precision | None = None
    optimizer: str | None = None
    augmentation: tuple[str, ...] = ()
    whiten: bool = True
    store: Path = STORE
    workers: int | None = None
    device: str = "cpu"
    trial_timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None

    def run(self, study: Callable[..., Result], **options: Any) -> Result:
        """The result of a study of this model and these data, with its progress shown.

        Args:
            study: `audit`, `memorization` or `suspicious`; errors bear its name.
            options: of the study, besides those that all have.

        Raises:
            ShatterlabError: the model or the data cannot be used.
        """
        from shatterlab.core import Runtime
        from shatterlab.studies import model_and_data as user
        from shatterlab.studies.progress import ProgressLine

        learner, recipe = user.model_from_options(self.model, self.recipe, self._recipe(), study.__name__, self.arguments)
        columns = {"target": self.target, "group": self.group, "time": self.time, "split": self.split}
        with ProgressLine() as progress, interruptible(self.store):
            return study(
                learner,
                user.dataset(self.data, self.examples, size=self.size, **columns),
                store=self.store,
                workers=workers_or_cores(self.workers),
                runtime=Runtime(device=self.device, trial_timeout=self.trial_timeout),
                on_row=progress,
                reproduce=(shlex.join(["shatterlab", *sys.argv[1:]]),),
                **options,
                **recipe,
            )

    def _recipe(self) -> dict[str, Any]:
        fields = without_none(epochs=self.epochs, lr=self.lr, batch_size=self.batch_size, precision=self.precision, optimizer=self.optimizer)
        return fields | ({"augmentation": self.augmentation} if self.augmentation else {}) | ({} if self.whiten else {"whiten": False})


def tell(text: str) -> None:
    """Prints a sentence on the run to standard error; results go to standard output."""
    print(text, file=sys.stderr)


def show(result: StudyResult, output: Path, form: Form) -> None:
    """Saves the report of a study and prints it."""
    result.save(output, form)
    print(result.text())
    print(f"\nReport: {output}")
