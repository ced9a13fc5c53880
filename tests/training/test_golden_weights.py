"""The weights that a training ends with stay what they were, bit for bit, on the processors for which they were recorded.

The last bits of a product depend on the processor, so a record belongs to torch's version and the processor's instructions; elsewhere
this is skipped, and the loops written out in tests/learners hold the same steps to the same bits on any machine.
Where a change of the results is meant, raise the version of the learner and record anew: python tests/training/test_golden_weights.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

import shatterlab as sl
from shatterlab.core import Examples, Seeds

FILE = Path(__file__).with_name("golden_weights.json")
MLP = sl.MLP((16,))
IMAGES = Examples(torch.rand(90, 3, 12, 12, generator=torch.Generator().manual_seed(3)), torch.arange(90) % 3, 3, 255)
SMALL = sl.GeneratedPhotos(classes=3, per_class=8, size=16)
LARGE = sl.GeneratedPhotos(classes=3, per_class=4, side=80, size=75)
VARIED = (sl.RandomResizedCrop((0.5, 1.0)), sl.HorizontalFlip())
CASES = {
    "momentum": (sl.Training(MLP, sl.SGD(lr=0.05), epochs=4, batch_size=19), IMAGES),
    "full batch, squared loss": (sl.Training(MLP, sl.SGD(lr=0.05, momentum=0.0), epochs=6, batch_size=None, loss="squared", stop=0.3), IMAGES),
    "early stopping": (sl.Training(MLP, sl.SGD(lr=0.3), epochs=40, batch_size=16, validation=0.25, patience=2, stop="budget"), IMAGES),
    "AlexNet, dropout, crops and flips": (
        sl.Training(sl.SmallAlexNet(8, init="he", dropout=0.5), sl.SGD(lr=0.02), epochs=3, batch_size=16,
                    augmentation=(sl.RandomCrop(10), sl.HorizontalFlip()), crop=10), IMAGES,
    ),
    "mixup, smoothed labels": (sl.Training(MLP, sl.SGD(lr=0.05), epochs=3, batch_size=16, augmentation=(sl.Mixup(),), label_smoothing=0.1), IMAGES),
    "Inception, batch norm": (sl.Training(sl.SmallInception(width=0.1), sl.SGD(lr=0.1), epochs=2, batch_size=20, stop="overfit"), IMAGES),
    "Adam": (sl.Training(MLP, sl.Adam(lr=0.01), epochs=3, batch_size=16, whiten=False), IMAGES),
    "streamed photos": (sl.StreamedTraining(sl.SmallInception(width=0.06), sl.RMSProp(lr=0.01, eps=1.0), batch_size=8, epochs=2, augmentation=VARIED), SMALL),
    "streamed, auxiliary loss and mixup": (
        sl.StreamedTraining(sl.InceptionV3(width=0.04, init="he", dropout=0.3), sl.SGD(lr=0.02), batch_size=6, epochs=1, augmentation=(sl.Mixup(),)), LARGE,
    ),
}  # fmt: skip


def machine() -> str:
    """What the last bits depend on."""
    words = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    vendor = next((word for word in words if word in ("AuthenticAMD", "GenuineIntel")), "other")
    return f"torch {torch.__version__.partition('+')[0]}, {vendor}, {torch.backends.cpu.get_cpu_capability()}"


def digest(name: str) -> str:
    learner, source = CASES[name]
    fit = learner.fit(source if isinstance(source, Examples) else source.load().train, Seeds.replicate(4))
    content = hashlib.sha256()
    for key, value in sorted(fit.model.state_dict().items()):
        content.update(key.encode())
        content.update(value.contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


@pytest.mark.parametrize("name", CASES)
def test_weights_end_as_they_were_recorded(name):
    recorded = json.loads(FILE.read_text())
    if machine() not in recorded:
        pytest.skip(f"no weights are recorded for {machine()}")
    assert digest(name) == recorded[machine()][name]


if __name__ == "__main__":
    torch.set_num_threads(1)
    before = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps({**before, machine(): {name: digest(name) for name in CASES}}, indent=1) + "\n")
