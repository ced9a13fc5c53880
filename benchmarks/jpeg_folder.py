"""Photos a second of each JPEG decoder and of decoding with scaling, on one thread; and how long training waits for photos.

    python benchmarks/jpeg_folder.py FOLDER

FOLDER holds class folders in train and val (Imagenette, say). Decoding alone and with scaling are timed one right after the other, on the bytes
of the same photos, and the median of the ratios is what counts; their range is told beside it. Goals: at most 1.2 times the time of the decoder
alone; training waits at most a tenth of its time. The time to scale follows the size asked for, the time to decode the bytes of a photo, so both
are told for the photos as they are and for the same photos enlarged to the 500 x 375 pixels of a mean photo of ILSVRC 2012.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import shatterlab as sl
from shatterlab.readers import photos as reader

Decoder = Callable[[bytes], Any]


def decoders() -> dict[str, Decoder]:
    """Those that are installed."""
    found: dict[str, Decoder] = {"ours": reader.pixels, "Pillow": lambda content: np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))}
    try:
        import simplejpeg

        found["simplejpeg"] = simplejpeg.decode_jpeg
    except ImportError:
        pass
    try:
        import cv2

        found["OpenCV"] = lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except ImportError:
        pass
    try:
        from torchvision.io import ImageReadMode, decode_jpeg

        found["torchvision"] = lambda content: decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB)
    except (ImportError, RuntimeError):
        pass
    return found


def enlarged(content: bytes, rng: np.random.Generator) -> bytes:
    """A photo of 500 x 375 pixels; noise stands in for the detail that a photo of that size has, and makes about 85 kB; ILSVRC has about 110."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.convert("RGB").resize((500, 375), Image.Resampling.BICUBIC), np.float64)
    written = io.BytesIO()
    Image.fromarray((pixels + rng.normal(0, 14, pixels.shape)).clip(0, 255).astype(np.uint8)).save(written, "JPEG", quality=90)
    return written.getvalue()


def seconds(action: Callable[[bytes], Any], photos: Sequence[bytes]) -> float:
    """Of this thread's processor, a photo."""
    start = time.thread_time()
    for each in photos:
        action(each)
    return (time.thread_time() - start) / len(photos)


def compare(name: str, photos: Sequence[bytes], sizes: Sequence[int], runs: int) -> None:
    mean = statistics.fmean(map(len, photos)) / 1000
    print(f"\n{name}: {len(photos)} photos, {mean:.1f} kB on average, {runs} rounds: median milliseconds a photo")
    known = decoders()
    took: dict[str, list[float]] = {each: [] for each in known}
    scaled: dict[int, list[float]] = {size: [] for size in sizes}
    ratios: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(runs):
        for each, decode in known.items():
            took[each].append(seconds(decode, photos))
        for size in sizes:
            square = np.empty((size, size, 3), np.uint8)
            alone = seconds(reader.pixels, photos)
            scaled[size].append(seconds(lambda content, out=square: reader.resize_into(reader.middle(reader.pixels(content), 0.875), out), photos))
            ratios[size].append(scaled[size][-1] / alone)
    for each, values in took.items():
        print(f"  decode with {each:12} {1e3 * statistics.median(values):7.3f}")
    for size, values in scaled.items():
        found = f"{statistics.median(ratios[size]):.2f} times the decoder alone ({min(ratios[size]):.2f} to {max(ratios[size]):.2f})"
        print(f"  decode and scale to {size:3} {1e3 * statistics.median(values):6.3f}   {found}")


def waiting(folder: Path, size: int, width: float, readers: int) -> None:
    data = sl.StreamedFolder(str(folder), size=size, examples=128, test_examples=20).load()
    learner = sl.StreamedTraining(sl.InceptionV3(width=width), batch_size=32, epochs=2, check_every=2)
    facts = learner.fit(data.train, runtime=sl.Runtime(readers=readers)).facts
    share = float(facts["seconds_waiting"] or 0) / float(facts["seconds_training"] or 1)  # type: ignore[arg-type]
    rate = 128 * 2 / float(facts["seconds_training"] or 1)  # type: ignore[arg-type]
    print(f"Inception v3, width {width:g}, {size} pixels, {readers} reader: waits {share:.1%} of its time, {rate:.1f} photos a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[75, 128, 224, 299])
    parser.add_argument("--width", type=float, nargs="*", default=[0.25, 1.0], help="of the network whose waiting is measured")
    parser.add_argument("--readers", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted((options.folder / "train").rglob("*.JPEG"))
    photos = [file.read_bytes() for file in files[:: max(1, len(files) // options.photos)]]
    rng = np.random.default_rng(0)
    compare("as they are", photos, options.sizes, options.runs)
    compare("enlarged to a mean photo of ILSVRC", [enlarged(each, rng) for each in photos[:60]], options.sizes, options.runs)
    print()
    for width in options.width:
        waiting(options.folder, 224, width, options.readers)


if __name__ == "__main__":
    main()
