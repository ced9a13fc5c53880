"""Laws of corruptions: drawn once, from the corruption stream, and limited to labels or to pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from shatterlab.core import Corruption, Examples, LabelCorruption, PixelCorruption, Scalar, Splits
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.laws import samples
from shatterlab.laws.law import OTHER_SEEDS, SEEDS, changed, copied, demand, differing, laws_in, leaving_generators_alone
from shatterlab.statistics.significance import g_test_bound, poisson_binomial_two_sided
from shatterlab.trials.corrupted_inputs import input_columns
from shatterlab.trials.corrupted_labels import label_columns

FALSE_ALARM = 1e-6  # of each statistical law; the seeds are fixed, so a law that passes once passes always


def is_drawn_once(part: Corruption) -> None:
    """The same seeds give the same corrupted sample every time."""
    first, again = part.apply(_sample(part), SEEDS), part.apply(_sample(part), SEEDS)
    got = _difference(first, again)
    demand(part, not got, "the same seeds give the same sample", got, "Draw from `rng` or `seed` only.")


def follows_its_stream(part: Corruption) -> None:
    """Another seed gives another corruption, unless nothing is random about it."""
    sample = _sample(part)
    one, other = part.apply(sample, SEEDS), part.apply(sample, OTHER_SEEDS)
    if not _difference(sample, one):
        raise NotApplicable("it changes nothing")
    differs = bool(_difference(one, other))
    if not getattr(part, "random", True):
        demand(part, not differs, "a corruption with `random = False` is the same for every seed", "another sample", "Remove that line.")
        return
    remedy = "Use `rng` or `seed`; if nothing is random by design, say `random: ClassVar[bool] = False`."
    demand(part, differs, "another seed gives another corruption", "the same sample for two seeds", remedy)


def leaves_its_input_alone(part: Corruption) -> None:
    """The sample that it gets stays unchanged."""
    sample = _sample(part)
    before = Splits(copied(sample.train), copied(sample.test))
    part.apply(sample, SEEDS)
    demand(part, not (got := _difference(before, sample)), "the sample stays as it is", got, "Work on a copy.")


def leaves_generators_alone(part: Corruption) -> None:
    """Process-wide random generators are neither read nor seeded."""
    sample = _sample(part)
    with leaving_generators_alone(part, "apply"):
        part.apply(sample, SEEDS)


def keeps_the_form(part: Corruption) -> None:
    """Shapes, types, sizes, the number of classes and the number of levels stay."""
    sample = _sample(part)
    after = part.apply(sample, SEEDS)
    for name, old, new in (("training", sample.train, after.train), ("test", sample.test, after.test)):
        was, now = _form(old), _form(new)
        demand(part, was == now, f"the {name} split keeps its form, {was}", now, "Give back as many examples, of the same shape and type.")


def keeps_test_labels(part: Corruption) -> None:
    """Test labels stay true."""
    sample = _sample(part)
    after = part.apply(sample, SEEDS)
    got = f"{_count(sample.test.labels, after.test.labels)} changed ones"
    demand(part, torch.equal(sample.test.labels, after.test.labels), "test labels stay true", got, "Corrupt training labels only.")


def keeps_the_other_half(part: Corruption) -> None:
    """A corruption of labels keeps every input, one of pixels every label."""
    sample = _sample(part)
    after = part.apply(sample, SEEDS)
    for name, old, new in (("training", sample.train, after.train), ("test", sample.test, after.test)):
        if isinstance(part, LabelCorruption):
            same = torch.equal(old.inputs, new.inputs)
            demand(part, same, f"inputs of the {name} split stay", f"{_count(old.inputs, new.inputs)} changed ones", "Change labels only.")
        elif isinstance(part, PixelCorruption) and name == "training":
            same = torch.equal(old.labels, new.labels)
            demand(part, same, "training labels stay", f"{_count(old.labels, new.labels)} changed ones", "Change inputs only.")


def level_is_a_probability(part: Corruption) -> None:
    """Where there is a level, it lies in [0, 1] and anything else is refused."""
    _require_level(part)
    for level in (-0.1, 1.1, float("nan")):
        try:
            _at(part, level)
        except InvalidPart:
            continue
        remedy = 'Write `validate`: self.require(0 <= self.level <= 1, "level is a probability in [0, 1]", self.level).'
        demand(part, False, "level is a probability in [0, 1]", f"no refusal of {level}", remedy)


def level_zero_is_the_identity(part: Corruption) -> None:
    """Level 0 changes nothing."""
    _require_level(part)
    sample = _sample(part)
    calm = _at(part, 0.0)
    got = _difference(sample, calm.apply(sample, SEEDS))
    demand(part, not got, "level 0 is the identity", got, "Change each example with probability `level`.")


def level_one_hides_the_class(part: Corruption) -> None:
    """At level 1 the new labels are independent of the true ones, unless `transition` says otherwise."""
    _require_level(part)
    full = _at(part, 1.0)
    if not isinstance(full, LabelCorruption):
        raise NotApplicable("it changes no labels")
    stated = full.transition(samples.CLASSES)
    if stated is not None and not np.allclose(stated, stated[0]):
        raise NotApplicable("its transition says that new labels depend on the true ones")
    from scipy import stats  # half a second to import

    counts = _table_of(full)
    p = float(stats.chi2_contingency(counts[:, counts.any(0)], lambda_="log-likelihood", correction=False).pvalue)
    got = f"p = {p:.1g} in a G test of {counts.sum()} labels"
    demand(part, p > FALSE_ALARM, "new labels are independent of the true ones at level 1", got, "Draw without using the label, or state `transition`.")


def keeps_its_transition(part: Corruption) -> None:
    """New labels follow the transition that it states: how many change, and to which classes."""
    if not isinstance(part, LabelCorruption) or (law := part.transition(samples.CLASSES)) is None:
        raise NotApplicable("it states no transition")
    rows = law.shape == (samples.CLASSES,) * 2 and (law >= 0).all() and np.allclose(law.sum(1), 1)
    demand(part, rows, "transition(k) is k x k, its rows are distributions", law.tolist(), "Give P(new j | true i) in row i.")
    counts = _table_of(part)
    sizes, moving = counts.sum(1), 1 - law.diagonal()
    moved = int(counts.sum() - counts.trace())
    p_moved, (g, p) = poisson_binomial_two_sided(moved, np.clip(moving, 0, 1), sizes), g_test_bound(counts, law)
    got = f"{moved} (p = {p_moved:.1g})"
    remedy = "Correct `labels` or `transition`: they disagree."
    demand(part, p_moved > FALSE_ALARM, f"of {sizes.sum()} labels {sizes @ moving:.0f} change, give or take chance", got, remedy)
    demand(part, p > FALSE_ALARM, "new labels follow the stated transition", f"G = {g:.4g} (p <= {p:.1g})", remedy)


def draws_labels_one_by_one(part: Corruption) -> None:
    """New labels are drawn one by one, as the transition says, or dealt out, as `keeps_class_counts` says; without either they change, and not by class."""
    if not isinstance(part, LabelCorruption):
        raise NotApplicable("it changes no labels")
    sample = samples.many_labels()
    columns = label_columns(part, sample.train, part.apply(sample, SEEDS).train)
    demand(part, columns.get("check.labels_changed") is not False, "labels change", "the true ones", "State `transition` if labels may stay as they are.")
    got = "a new label that is a function of the true class"
    demand(part, _likely(columns.get("check.renamed_p")), "a corruption that renames classes states its transition", got, "Write `transition`.")
    demand(part, columns.get("check.class_counts_kept") is not False, "classes keep their sizes", "other ones", "Permute labels; do not draw them.")
    demand(part, _likely(columns.get("check.independence_p")), "labels are dealt out at random", f"{columns['check.changed']} changed ones", "Permute all.")
    got = "classes of exactly the old sizes"
    demand(part, _likely(columns.get("check.class_counts_p")), "every label is drawn by itself", got, "Draw labels; do not permute them.")


def does_to_inputs_what_it_says(part: Corruption) -> None:
    """Inputs are permuted or replaced by noise, as `effect` says; without an effect some inputs change."""
    if not isinstance(part, PixelCorruption):
        raise NotApplicable("it changes no inputs")
    sample = _sample(part)
    ready, after = _ready(part, sample)[0], part.apply(sample, SEEDS)
    if part.effect is None and getattr(part, "level", 1) != 0:
        demand(part, _difference(sample, after), "some inputs change", "the same sample", "Change inputs.")
    columns = input_columns(ready, sample, after, SEEDS)
    kept = columns.get("check.permuted") is not False
    required = f"inputs of both splits are rearranged by {part.effect}, the one that `inputs` applies to any values at the same positions"
    demand(part, kept, required, "other inputs", "Permute values, all of them, whatever they are; seed permutations by `seed`.")
    got = f"p = {columns.get('check.permutation_p')}"
    demand(
        part, _likely(columns.get("check.permutation_p")), "permutations are uniform, and independent where each input has its own", got, "Draw from `seed`."
    )
    alone = columns.get("check.noise_ignores_inputs") is not False
    demand(part, alone, "noise depends on (seed, split, index) alone", "other noise for other inputs, or one for both splits", "Leave the inputs out.")
    got = f"p = {columns.get('check.noise_p')}"
    demand(part, _likely(columns.get("check.noise_p")), "noise follows the normal law that it states", got, "Correct `inputs` or `normal_law`.")


def _likely(p: Scalar) -> bool:
    return not isinstance(p, float) or p > FALSE_ALARM


def ignores_batch_and_order(part: Corruption) -> None:
    """The corrupted input of an example does not depend on the batch or its order."""
    sample = _sample(part)
    whole, ready, seed = part.apply(sample, SEEDS).train.inputs, *_ready(part, sample)
    n = len(whole)
    order = np.random.default_rng(0).permutation(n)
    for indices in (order, order[:7], order[7:8], np.arange(n)[::-1].copy(), np.arange(n // 3, n // 2)):
        alone = ready.inputs(sample.train.inputs[torch.from_numpy(indices)], indices, "train", seed)
        count = differing(alone, whole[torch.from_numpy(indices)])
        got = f"{count} of {len(indices)} inputs that differ in another batch"
        demand(part, not count, "an input's corruption depends on (seed, split, index) alone", got, "Draw with random_bits(seed, split, indices, count).")


def splits_are_drawn_apart(part: Corruption) -> None:
    """Where every image has a draw of its own, training image i and test image i have different ones."""
    sample = samples.copies()
    ready, seed = _ready(part, sample)
    n = len(sample.train)
    train, test = (ready.inputs(sample.train.inputs.clone(), np.arange(n), split, seed) for split in ("train", "test"))
    if not differing(train, train[:1].expand_as(train)):
        raise NotApplicable("all images share one draw")
    shifts = range(1, n // 2)
    chance = 1 - sum(differing(train, train.roll(shift, 0)) for shift in shifts) / (n * len(shifts))  # that two draws agree
    most = n * chance + 6 * (n * chance * (1 - chance)) ** 0.5 + 6  # six deviations; 6 more where chance is next to none
    same = n - differing(train, test)
    required = f"equal images of the two splits are corrupted alike no more often than by chance, {n * chance:.1f} of {n} times"
    demand(part, same <= most, required, same, "Pass `split` on to random_bits.")


def clips_nothing(part: Corruption) -> None:
    """Values outside [0, 1] are left there: clipping would change the moments."""
    if not isinstance(part, PixelCorruption):
        raise NotApplicable("it changes no inputs")
    sample = _sample(part)
    wide = Splits(*(dataclasses.replace(split, inputs=9 * split.inputs - 4) for split in (sample.train, sample.test)))
    after = part.apply(wide, SEEDS).train.inputs
    ends = [int((after == end).sum()) for end in (0, 1)]
    heaped = min(ends) > after.numel() // 100 and bool(((after >= 0) & (after <= 1)).all()) and sum(ends) < after.numel()
    got = f"everything within [0, 1], {ends[0]} times exactly 0 and {ends[1]} times exactly 1"
    demand(part, not heaped, f"of {after.numel()} inputs in -4 .. 5 none is clipped", got, "Leave out the clamp.")


def takes_tables(part: Corruption) -> None:
    """Rows of a table are corrupted too, or refused in one line."""
    sample = samples.table()
    try:
        after = part.apply(sample, SEEDS)
    except InvalidPart as refusal:
        raise NotApplicable(f"it refuses tables: {refusal}") from None
    was, now = _form(sample.train), _form(after.train)
    demand(part, was == now, f"a table keeps its form, {was}", now, "Allow any axes after the first.")
    finite = bool(after.train.inputs.isfinite().all())
    demand(part, finite, "corrupted rows are finite", "NaN or infinity", "Look for a division by zero.")


def _sample(part: Corruption) -> Splits:
    try:
        part.apply(samples.images(), SEEDS)
    except InvalidPart:
        return samples.table()
    return samples.images()


def _ready(part: Corruption, sample: Splits) -> tuple[PixelCorruption, int]:
    if not isinstance(part, PixelCorruption):
        raise NotApplicable("it changes no inputs")
    ready = part.fitted(sample.train, SEEDS)
    assert isinstance(ready, PixelCorruption)
    return ready, SEEDS.integer("corruption", "pixels")


def _at(part: Corruption, level: float) -> Corruption:
    return dataclasses.replace(part, **{"level": level})


def _require_level(part: Corruption) -> None:
    if "level" not in (item.name for item in part.configuration()):
        raise NotApplicable("it has no level")


def _table_of(part: LabelCorruption) -> np.ndarray[Any, Any]:
    sample = samples.many_labels()
    true, new = (splits.train.labels.numpy() for splits in (sample, part.apply(sample, SEEDS)))
    k = samples.CLASSES
    return np.bincount(true * k + new, minlength=k * k).reshape(k, k)


def _difference(before: Splits, after: Splits) -> str:
    differences = {"training": changed(before.train, after.train), "test": changed(before.test, after.test)}
    return ", ".join(f"in the {name} split {difference}" for name, difference in differences.items() if difference)


def _form(examples: Examples) -> str:
    tensors = (examples.inputs, examples.labels)
    shapes = ", ".join(f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}" for tensor in tensors)
    return f"{shapes}, {examples.classes} classes, levels {examples.levels}"


def _count(old: torch.Tensor, new: torch.Tensor) -> int | str:
    return differing(old, new) if old.shape == new.shape else f"{len(new)}"


LAWS = laws_in(__name__)
