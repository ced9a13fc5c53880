"""What a ledger is made of: the runs that a learner needs, and the lines of the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shatterlab.core import Dataset, Learner, Measure, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.corruptions.random_signs import RandomSigns
from shatterlab.design.experiment import Scale
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.prequential import Prequential
from shatterlab.learners.randomized_part import RandomizedPart
from shatterlab.learners.training import Training
from shatterlab.learners.twins import Twins
from shatterlab.measures.code_length_certificate import CodeLengthCertificate
from shatterlab.measures.distance_from_initialization import DistanceFromInitialization
from shatterlab.measures.fisher_rao import FisherRao
from shatterlab.measures.flatness import Flatness
from shatterlab.measures.frobenius_over_spectral import FrobeniusOverSpectral
from shatterlab.measures.gradient_noise_scale import GradientNoiseScale
from shatterlab.measures.hessian_top_eigenvalue import HessianTopEigenvalue
from shatterlab.measures.hessian_trace import HessianTrace
from shatterlab.measures.leaf_count import LeafCount
from shatterlab.measures.leave_one_out import LeaveOneOut
from shatterlab.measures.magnitude_aware_flatness import MagnitudeAwareFlatness
from shatterlab.measures.margin_bound import MarginBound
from shatterlab.measures.margins import Margins
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.measures.occam_certificate import OccamCertificate
from shatterlab.measures.pac_bayes_certificate import PACBayesCertificate
from shatterlab.measures.parameter_count import ParameterCount
from shatterlab.measures.parameter_norm import ParameterNorm
from shatterlab.measures.path_norm import PathNorm
from shatterlab.measures.ratt_certificate import RATTCertificate
from shatterlab.measures.replace_one import ReplaceOne
from shatterlab.measures.rkhs_norm import RKHSNorm
from shatterlab.measures.spectral_margin import SpectralMargin
from shatterlab.measures.spectral_norms import SpectralNorms
from shatterlab.measures.stability_bound import StabilityBound
from shatterlab.measures.vc_bound import VCBound
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import LedgerTable, Quantity

STOP = 0.05  # the training loss that both fits of a network end at


@dataclass(frozen=True)
class Effort:
    """How often each kind of run is made, and how closely the dear measures look.

    Args:
        replicates: of each fit, and of its part with random labels.
        draws: of signs.
        twins: pairs of runs on either kind of labels.
        codes: fits that code their labels, on either kind.
        examples: on which curvature and flatness are measured; None: all.
        replaced: whose labels are replaced in kernel systems; None: all.
        probes: noise vectors, sign vectors.
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
        """The same at every scale, but for how many examples the dear measures look at."""
        return cls(
            replicates=scale.replicates, examples=scale.pick(smoke=None, laptop=100, paper=1000), replaced=scale.pick(smoke=None, laptop=None, paper=500)
        )


def measures(learner: Learner, effort: Effort) -> tuple[Measure, ...]:
    """Every measure; one that does not apply leaves its reason."""
    systems = (MarginBound(), _stability(learner), ReplaceOne(examples=effort.replaced), LeaveOneOut(sampled=0), RKHSNorm(), LeafCount())
    return (*network_measures(effort), *systems)


def network_measures(effort: Effort) -> tuple[Measure, ...]:
    """Those of a network by itself: its size, its weights, its curvature, and what can be certified."""
    draws, few = effort.probes, effort.examples
    return (
        ParameterCount(), VCBound(),
        ParameterNorm(), DistanceFromInitialization(), PathNorm(), SpectralNorms(), FrobeniusOverSpectral(), SpectralMargin(), Margins(),
        Flatness(draws=draws, steps=10, examples=few), MagnitudeAwareFlatness(draws=draws, steps=10, examples=few),
        HessianTopEigenvalue(examples=few, tolerance=0.01), HessianTrace(probes=draws, examples=few), FisherRao(), GradientNoiseScale(batch_size=10),
        MemorizedBits(), PACBayesCertificate(draws=draws), OccamCertificate(),
    )  # fmt: skip


def _stability(learner: Learner) -> StabilityBound:
    if isinstance(learner, KernelInterpolation):
        return StabilityBound(ridge=learner.ridge)
    if not isinstance(learner, Training):
        return StabilityBound()
    optimizer = learner.optimizer
    momentum = optimizer.momentum if isinstance(optimizer, SGD) else 1.0  # any other rule is not the theorem's either
    return StabilityBound(optimizer.lr, learner.decay, learner.decay_steps, momentum)


def trials(source: Dataset, learners: Iterable[Learner], effort: Effort) -> tuple[Trial, ...]:
    """All runs of the ledger; the fits themselves first, replicates outermost, so that an early look is balanced."""
    chosen = list(learners)
    labels = (TrueLabels(), RandomLabels())
    every = range(max(effort.replicates, effort.twins, effort.codes, effort.draws))
    made = []
    for r in every:
        seeds = Seeds.replicate(r)
        for learner in chosen:
            runs = [
                (r < effort.replicates, learner, measures(learner, effort)),
                (r < effort.twins, Twins(learner), ()),
                (r < effort.codes, Prequential(learner, doublings=3), (CodeLengthCertificate(),)),
                (r < effort.replicates, RandomizedPart(learner), (RATTCertificate(),)),
            ]
            made += [Trial(source, each, part, seeds, found) for wanted, part, found in runs if wanted for each in labels]
            if r < effort.draws:
                made.append(Trial(source, RandomSigns(), learner, replace(seeds, data=0)))
    return tuple(made)


def table(name: str, learner: Learner) -> LedgerTable:
    """The page of one learner."""
    columns = learner.columns("learner").items()
    own = {column.removeprefix("learner."): value for column, value in columns if not column.endswith(".fingerprint")}
    return LedgerTable(own, QUANTITIES, title=name)


def names(quantities: Sequence[Quantity]) -> list[str]:
    """What the lines are called."""
    return [each.name for each in quantities]


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
