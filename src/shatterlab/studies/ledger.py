"""The ledger: quantities and bounds of learning theory for a model, on true and on random labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.analysis.ledger import Entry
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, Measure, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import RandomSigns, TrueLabels
from shatterlab.design.experiment import Experiment, Scale
from shatterlab.design.settings import TRUE_AND_RANDOM
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.training import Training
from shatterlab.learners.wrapped_learners import Prequential, RandomizedPart, Twins
from shatterlab.measures.bounds import MarginBound, StabilityBound, VCBound
from shatterlab.measures.certificates import CodeLengthCertificate, OccamCertificate, PACBayesCertificate, RATTCertificate
from shatterlab.measures.flatness import Flatness, MagnitudeAwareFlatness
from shatterlab.measures.gradients import FisherRao, GradientNoiseScale, HessianTopEigenvalue, HessianTrace
from shatterlab.measures.leave_one_out import LeaveOneOut, ReplaceOne
from shatterlab.measures.margins import Margins
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.measures.norms import DistanceFromInitialization, ParameterNorm, PathNorm, RKHSNorm
from shatterlab.measures.sizes import LeafCount, ParameterCount
from shatterlab.measures.spectral import FrobeniusOverSpectral, SpectralMargin, SpectralNorms
from shatterlab.optimizers.descent import SGD
from shatterlab.store.database import Store
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial
from shatterlab.views import LedgerSummary, LedgerTable, Quantity

STOP = 0.05  # the training loss at which both fits of a network end


@dataclass(frozen=True)
class Effort:
    """The number of runs of each kind, and of examples for the expensive measures.

    Args:
        replicates: replicates of each fit, and of fits with a randomly labelled part.
        draws: fits to random signs.
        twins: pairs of twin runs on either kind of labels.
        codes: prequential codes of either kind of labels.
        examples: examples on which curvature and flatness are measured; None: all.
        replaced: examples whose labels are replaced in kernel systems; None: all.
        probes: random vectors of stochastic estimates.
    """

    replicates: int = 3
    draws: int = 2
    twins: int = 2
    codes: int = 2
    examples: int | None = None
    replaced: int | None = None
    probes: int = 5

    @classmethod
    def of(cls, scale: Scale) -> Effort:
        """The same at every scale, except for the examples of the expensive measures."""
        examples, replaced = scale.pick(smoke=(None, None), laptop=(100, None), paper=(1000, 500))
        return cls(replicates=scale.replicates, examples=examples, replaced=replaced)


def measures(learner: Learner, effort: Effort) -> tuple[Measure, ...]:
    """Every measure; where one does not apply, the row has the reason."""
    systems = (MarginBound(), _stability(learner), ReplaceOne(examples=effort.replaced), LeaveOneOut(sampled=0), RKHSNorm(), LeafCount())
    return (*network_measures(effort), *systems)


def network_measures(effort: Effort) -> tuple[Measure, ...]:
    """The measures of a network: size, weights, curvature and certificates."""
    draws, n = effort.probes, effort.examples
    return (
        ParameterCount(), VCBound(),
        ParameterNorm(), DistanceFromInitialization(), PathNorm(), SpectralNorms(), FrobeniusOverSpectral(), SpectralMargin(), Margins(),
        Flatness(draws=draws, steps=10, examples=n), MagnitudeAwareFlatness(draws=draws, steps=10, examples=n),
        HessianTopEigenvalue(examples=n, tolerance=0.01), HessianTrace(probes=draws, examples=n), FisherRao(), GradientNoiseScale(batch_size=10),
        MemorizedBits(), PACBayesCertificate(draws=draws), OccamCertificate(),
    )  # fmt: skip


def _stability(learner: Learner) -> StabilityBound:
    if isinstance(learner, KernelInterpolation):
        return StabilityBound(ridge=learner.ridge)
    if not isinstance(learner, Training):
        return StabilityBound()
    optimizer = learner.optimizer
    momentum = optimizer.momentum if isinstance(optimizer, SGD) else 1.0  # the theorem is about SGD without momentum
    return StabilityBound(optimizer.lr, learner.decay, learner.decay_steps, momentum)


def trials(data: Dataset, learners: Collection[Learner], effort: Effort) -> tuple[Trial, ...]:
    """All runs of the ledger, replicates outermost, so that an early look is balanced."""
    replicates = range(max(effort.replicates, effort.twins, effort.codes, effort.draws))
    return tuple(trial for r in replicates for learner in learners for trial in _replicate(data, learner, effort, r))


def _replicate(data: Dataset, learner: Learner, effort: Effort, r: int) -> Iterator[Trial]:
    seeds = Seeds.replicate(r)
    runs: list[tuple[int, Learner, tuple[Measure, ...]]] = [
        (effort.replicates, learner, measures(learner, effort)),
        (effort.twins, Twins(learner), ()),
        (effort.codes, Prequential(learner, doublings=3), (CodeLengthCertificate(),)),
        (effort.replicates, RandomizedPart(learner), (RATTCertificate(),)),
    ]
    yield from (Trial(data, labels, part, seeds, measured) for count, part, measured in runs if r < count for labels in TRUE_AND_RANDOM)
    if r < effort.draws:
        yield Trial(data, RandomSigns(), learner, replace(seeds, data=0))


def table(name: str, learner: Learner) -> LedgerTable:
    """The table of one learner."""
    columns = learner.columns("learner").items()
    own = {column.removeprefix("learner."): value for column, value in columns if not column.endswith(".fingerprint")}
    return LedgerTable(own, QUANTITIES, title=name)


def _m(measure: type[Measure], value: str) -> str:
    return f"measure.{measure.__name__}.{value}"


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("training loss", "train.loss", judged=False),
    Quantity("training error", "train.error", judged=False),
    Quantity("test error", "test.error", judged=False),
    Quantity("parameters", _m(ParameterCount, "count"), of_class=True),
    Quantity("VC dimension", _m(VCBound, "dimension"), bound=_m(VCBound, "bound"), chance=0.5, of_class=True),
    Quantity("Rademacher complexity, sign draws", "train.error", role="signs"),
    Quantity("Rademacher complexity, norm ball", _m(MarginBound, "complexity"), bound=_m(MarginBound, "bound")),
    Quantity("fat-shattering dimension", _m(MarginBound, "fat_shattering")),
    Quantity("uniform stability, theory", _m(StabilityBound, "bound")),
    Quantity("twins: largest loss change", "fit.sup_loss_difference", role="twins"),
    Quantity("twins: mean loss change", "fit.mean_loss_difference", role="twins"),
    Quantity("twins: own loss change", "fit.own_loss_difference", role="twins"),
    Quantity("twins: distance of weights", "fit.parameter_distance", role="twins"),
    Quantity("all labels replaced: largest change", _m(ReplaceOne, "largest")),
    Quantity("all labels replaced: mean change", _m(ReplaceOne, "mean")),
    Quantity("leave-one-out error", _m(LeaveOneOut, "error")),
    Quantity("norm of the weights", _m(ParameterNorm, "norm")),
    Quantity("distance from initialization", _m(DistanceFromInitialization, "distance")),
    Quantity("path norm", _m(PathNorm, "l2")),
    Quantity("log product of spectral norms", _m(SpectralNorms, "log_product")),
    Quantity("Frobenius over spectral norm", _m(FrobeniusOverSpectral, "sum")),
    Quantity("spectral margin: log R / margin", _m(SpectralMargin, "log_ratio"), bound=_m(SpectralMargin, "bound_term")),
    Quantity("lower quartile of margins", _m(Margins, "lower_quartile"), rises=False),
    Quantity("RKHS norm", _m(RKHSNorm, "norm")),
    Quantity("leaves", _m(LeafCount, "leaves"), bound=_m(LeafCount, "bound")),
    Quantity("sharpness (PAC-Bayes)", _m(Flatness, "sharpness")),
    Quantity("sharpness, relative to weights", _m(MagnitudeAwareFlatness, "sharpness")),
    Quantity("top eigenvalue of the Hessian", _m(HessianTopEigenvalue, "largest")),
    Quantity("trace of the Hessian", _m(HessianTrace, "trace")),
    Quantity("Fisher-Rao norm", _m(FisherRao, "norm")),
    Quantity("gradient noise scale", _m(GradientNoiseScale, "noise_scale")),
    Quantity("bits of labels held", _m(MemorizedBits, "bits")),
    Quantity("PAC-Bayes: KL (nats)", _m(PACBayesCertificate, "divergence"), bound=_m(PACBayesCertificate, "bound")),
    Quantity("Occam: bits of the message", _m(OccamCertificate, "bits"), bound=_m(OccamCertificate, "bound")),
    Quantity("RATT: error on random part", "fit.random_error", role="part", bound=_m(RATTCertificate, "bound"), judged=False),
    Quantity("bits a label saved by a code", _m(CodeLengthCertificate, "saved_per_label"), role="code", rises=False),
)  # fmt: skip


QUESTION = "Which quantity of learning theory tells the fit of true labels from the fit of random ones, and which bound says anything at all?"
SOURCE = "Zhang et al. 2017, section 2.2; Jiang et al. 2020 (measures)"


@dataclass(frozen=True, repr=False)
class Ledger(StudyResult):
    """The ledger of a model of the user's own."""

    @property
    def tables(self) -> tuple[LedgerTable, ...]:
        """One a model."""
        return tuple(view for view in self.experiment.views if isinstance(view, LedgerTable))

    @property
    def entries(self) -> Mapping[str, list[Entry]]:
        """The lines of each model's table."""
        return {table.title: table.entries(self.rows) for table in self.tables}

    @property
    def verdict(self) -> str:
        """One line a model."""
        return "\n".join(_sentence(name, entries) for name, entries in self.entries.items())


def _sentence(name: str, entries: Sequence[Entry]) -> str:
    measured = [entry for entry in entries if entry.measured]
    passing = [entry.quantity.name for entry in entries if entry.verdict == "passes"]
    bounds = [entry for entry in entries if entry.vacuous is not None]
    useful = [entry.quantity.name for entry in bounds if not entry.vacuous]
    test = f"of {len(measured)} quantities, {len(passing)} tell random from true labels at equal training loss"
    return f"{name}: {test}; of {len(bounds)} bounds on true labels {len(useful)} are below chance" + (f" ({', '.join(useful)})." if useful else ".")


def ledger(
    model: Any = None,
    data: Any = None,
    *,
    replicates: int = 3,
    draws: int = 2,
    twins: int = 2,
    codes: int = 2,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    progress: bool | None = None,
    **recipe: Any,
) -> Ledger:
    """Measures quantities and bounds of learning theory on true and on random labels, with both fits ended at the same training loss.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn estimator or a Learner; None: an MLP
            and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        replicates: fits on either kind of labels, >= 1; an interval takes two.
        draws: fits to random signs, >= 0.
        twins: pairs of fits that differ in one label, on either kind of labels, >= 0.
        codes: codes of the labels, on either kind, >= 0.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        recipe: fields of `Training` for a torch model: `stop` (the training loss at which both fits end, by default 0.05), `epochs`, `batch_size`, ...; of its
            optimizer: `lr`, ....

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a number out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Zhang et al. 2017, section 2.2.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from shatterlab import Digits
        >>> result = ledger(DecisionTreeClassifier(), Digits(examples=100, test_examples=50), replicates=2, draws=1, twins=0, codes=0)
        >>> next(entry.verdict for entry in result.entries["DecisionTreeClassifier"] if entry.quantity.name == "VC dimension")
        'fails (blind)'
    """
    for name, value, least in (("replicates", replicates, 1), ("draws", draws, 0), ("twins", twins, 0), ("codes", codes, 0)):
        if value < least:
            raise InvalidPart(f"ledger: {name} is a whole number >= {least}, got {value!r}. {'Three' if least else 'Two'} are usual.")
    study = Study("ledger", model, data, recipe, store, workers, runtime, on_row, reproduce, progress)
    learners = named([ended(learner) for learner in study.learners()], study.dataset)
    return study.result(Ledger, plan(learners, study.dataset, Effort(replicates, draws, twins, codes)))


def ended(learner: Learner) -> Learner:
    """The learner, stopped at a training loss where it would stop at another goal."""
    return replace(learner, stop=STOP) if isinstance(learner, Training) and isinstance(learner.stop, str) else learner


def named(learners: Sequence[Learner], data: Dataset) -> dict[str, Learner]:
    """Each learner by the short name of its model."""
    return {model_name(Trial(data, TrueLabels(), learner).specification()): learner for learner in learners}


def plan(learners: Mapping[str, Learner], data: Dataset, effort: Effort, **fields: Any) -> Experiment:
    """The ledger of these learners as an experiment: a summary, and a table a learner.

    Args:
        learners: learners by name.
        data: the data set.
        effort: the number of runs of each kind.
        fields: further fields of the `Experiment`.
    """
    tables = tuple(table(name, learner) for name, learner in learners.items())
    return Experiment("ledger", SOURCE, QUESTION, trials(data, learners.values(), effort), (LedgerSummary(tables), *tables), **fields)
