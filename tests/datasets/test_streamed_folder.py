"""Photos that are decoded when they are asked for: what they look like, corrupted or not, and what is refused."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shatterlab.core import Examples, Seeds, Splits
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.lazy_inputs import Streamed, ahead, chunks
from shatterlab.core.losses import evaluate
from shatterlab.corruptions.labels import RandomLabels
from shatterlab.corruptions.pixels import GaussianPixels, RandomPixels, ShuffledPixels
from shatterlab.datasets.generated import GeneratedPhotos
from shatterlab.datasets.streamed_folder import StreamedFolder
from shatterlab.readers import photos


def photo(colour=(200, 100, 50), size=(40, 30), mode="RGB", suffix="JPEG", noise=0, seed=0) -> bytes:
    values = np.broadcast_to(np.array(colour, np.float64), (size[1], size[0], 3)) + noise * np.random.default_rng(seed).standard_normal((size[1], size[0], 3))
    written = io.BytesIO()
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert(mode).save(written, suffix, quality=95)
    return written.getvalue()


def folder(path: Path, splits=("train", "val"), per_class=3) -> Path:
    for split in splits:
        for number, name in enumerate(("ant", "bee")):
            inside = path / split / name
            inside.mkdir(parents=True)
            for each in range(per_class):
                (inside / f"{each}.JPEG").write_bytes(photo((60 + 100 * number, 120, 90), noise=30, seed=each + 10 * number + 100 * len(split)))
    return path


def refusal(act) -> str:
    with pytest.raises((DataError, InvalidPart)) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def held(splits: Splits) -> Splits:
    """The same sample in memory."""
    made = [Examples(each.inputs[:], each.labels, each.classes, each.levels) for each in (splits.train, splits.test)]
    return Splits(*made)


# reading ---------------------------------------------------------------------------------------------------------------


def test_inputs_are_read_when_they_are_asked_for(tmp_path):
    splits = StreamedFolder(str(folder(tmp_path)), size=16).load()
    inputs = splits.train.inputs
    assert isinstance(inputs, Streamed) and inputs.shape == (6, 3, 16, 16) and splits.train.shape == (3, 16, 16) and inputs.dtype == torch.float32
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1] and splits.train.classes == 2 and splits.train.levels == 255
    everything = inputs[:]
    for indices in (2, -1, slice(1, 4), [5, 0], np.array([3]), torch.tensor([1, 1]), torch.tensor([True, False] * 3)):
        assert torch.equal(inputs[indices], everything[indices])
    assert torch.equal(torch.stack(list(inputs)), everything) and everything.min() >= 0 and everything.max() <= 1
    (tmp_path / "train" / "bee" / "2.JPEG").unlink()
    assert "2.JPEG. Replace or remove it" in refusal(lambda: inputs[5]) and torch.equal(inputs[:5], everything[:5])


def test_positions_out_of_range_and_tensor_methods_are_refused(tmp_path):
    inputs = StreamedFolder(str(folder(tmp_path)), size=8).load().train.inputs
    with pytest.raises(IndexError, match=r"^positions lie in 0..5, got 6..6$"):
        inputs[6]
    with pytest.raises(IndexError, match="a mask of 6 inputs"):
        inputs[torch.tensor([True])]
    wanted = "StreamedFolder: what reads inputs by batches is required for a streamed sample, got a use of inputs.flatten. "
    assert refusal(lambda: inputs.flatten(1)) == wanted + "Use StreamedTraining, or a data set that is held in memory."


def test_the_middle_is_scaled_and_the_aspect_not_kept():
    picture = np.zeros((80, 40, 3), np.uint8)
    picture[5:75, 2:38] = 255  # a margin of 1/16 of the height, and of 1/20 of the width
    kept = photos.middle(picture, 0.875)
    assert kept.shape == (70, 36, 3) and kept.min() == 255  # int((80 - 70) / 2) = 5, int((40 - 35) / 2) = 2
    out = np.empty((16, 16, 3), np.uint8)
    photos.resize_into(picture[:, :20], out)
    assert out[8, 0].tolist() == [0, 0, 0] and out[8, 15].tolist() == [255, 255, 255]


def test_scaling_is_bilinear_at_pixel_centres():
    """Against torch's own, at 8 bits: OpenCV rounds weights to 1/2048, so that values of 255 are off by at most 1."""
    picture = np.random.default_rng(0).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    out = np.empty((37, 19, 3), np.uint8)
    photos.resize_into(picture, out)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), size=(37, 19), mode="bilinear")[0].permute(1, 2, 0)
    assert np.abs(out - wanted.numpy()).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg_becomes_rgb(mode):
    content = photo((200, 100, 50), mode=mode)
    picture = photos.pixels(content)
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == mode
        wanted = np.asarray(image.convert("RGB"))
    assert picture.shape == (30, 40, 3) and np.array_equal(picture, wanted)
    colour = [200, 100, 50] if mode != "L" else [124] * 3  # 0.299, 0.587 and 0.114 of them
    assert np.abs(picture.mean((0, 1)) - colour).max() < 4  # JPEG's quantization at quality 95


def test_other_formats_under_the_name_of_a_jpeg_are_read(tmp_path):
    folder(tmp_path)
    Image.new("RGBA", (20, 20), (10, 200, 30, 90)).save(tmp_path / "train" / "ant" / "0.JPEG", "PNG")
    assert torch.allclose(StreamedFolder(str(tmp_path), size=4).load().train.inputs[0][:, 0, 0], torch.tensor([10, 200, 30]) / 255)


def test_pillow_gives_the_same_pixels_where_simplejpeg_is_missing(monkeypatch):
    contents = [photo(noise=40, mode=mode, seed=seed) for seed, mode in enumerate(["RGB", "L", "RGB"])]
    fast = [photos.pixels(each) for each in contents]
    monkeypatch.setattr(photos, "_simplejpeg", lambda: None)
    assert all(np.array_equal(a, photos.pixels(b)) for a, b in zip(fast, contents, strict=True))


def test_windows_of_the_whole_photo_are_cut_at_reading():
    inputs = GeneratedPhotos(size=8, fraction=1.0).load().train.inputs
    whole = np.array([[0, 0, 1, 1]] * 2, np.float32)
    assert torch.equal(inputs.codes(np.array([0, 5]), whole).float() / 255, inputs[[0, 5]])
    corner = inputs.codes(np.array([0]), np.array([[0.5, 0.5, 0.25, 0.25]], np.float32))
    assert corner.shape == (1, 3, 8, 8) and not torch.equal(corner.float() / 255, inputs[[0]])
    assert photos.window(np.zeros((10, 10, 3), np.uint8), np.array([0.999, 0.999, 0.001, 0.001])).shape == (1, 1, 3)


def test_reading_ahead_keeps_order_and_passes_errors_on():
    def fail(item):
        if item == 4:
            raise DataError("the fourth")
        return item * item

    assert list(ahead(lambda item: item * item, range(20), 3)) == [item * item for item in range(20)]
    made = ahead(fail, range(20), 2)
    assert [next(made) for _ in range(4)] == [0, 1, 4, 9]
    with pytest.raises(DataError, match="the fourth"):
        next(made)


# subsamples and corruptions --------------------------------------------------------------------------------------------


def test_a_subsample_stays_unread_and_is_the_same_as_in_memory():
    whole, few = GeneratedPhotos().load(), GeneratedPhotos(examples=10, test_examples=6).load()
    assert isinstance(few.train.inputs, Streamed) and len(few.train) == 10 and sorted(few.train.labels.bincount().tolist()) == [2, 2, 3, 3]
    inside = {each.numpy().tobytes() for each in whole.train.inputs}
    assert all(each.numpy().tobytes() in inside for each in few.train.inputs)
    assert few.train.inputs.codes(np.array([1])).dtype == torch.uint8


@pytest.mark.parametrize("corruption", [GaussianPixels(), GaussianPixels("pixel"), RandomPixels(), RandomPixels("value"), ShuffledPixels()], ids=str)
def test_pixel_corruptions_of_a_stream_are_those_of_the_same_images_in_memory(corruption):
    splits, seeds = GeneratedPhotos(size=12).load(), Seeds(corruption=3)
    streamed, wanted = corruption.apply(splits, seeds), corruption.apply(held(splits), seeds)
    for one, other in ((streamed.train, wanted.train), (streamed.test, wanted.test)):
        assert isinstance(one.inputs, Streamed) and torch.equal(one.inputs[:], other.inputs)
        assert torch.equal(one.inputs[[5, 2]], other.inputs[[5, 2]])  # any order
    assert streamed.train.inputs.codes(np.array([0])) is None  # noise has no 8 bits


def test_label_corruptions_leave_the_stream_alone():
    splits = GeneratedPhotos().load()
    drawn = RandomLabels().apply(splits, Seeds(corruption=1))
    assert drawn.train.inputs is splits.train.inputs and not torch.equal(drawn.train.labels, splits.train.labels)


def test_scoring_a_stream_is_scoring_the_same_images_in_memory():
    splits = GeneratedPhotos(size=6).load()
    weights = torch.randn(3 * 36, 4, generator=torch.Generator().manual_seed(0))

    def score(inputs):
        return inputs.flatten(1) @ weights

    assert evaluate(score, splits.train, "logits") == evaluate(score, held(splits).train, "logits")
    assert [place.stop - place.start for place, _ in chunks(splits.train.inputs, 20, 2)] == [20, 20, 8]


# what is refused -------------------------------------------------------------------------------------------------------


def test_files_that_are_no_whole_image_are_named_and_counted(tmp_path):
    folder(tmp_path)
    cut, text = tmp_path / "train" / "ant" / "1.JPEG", tmp_path / "train" / "bee" / "0.JPEG"
    cut.write_bytes(cut.read_bytes()[:-200])
    text.write_text("no image")
    message = refusal(StreamedFolder(str(tmp_path), size=8).load)
    assert message.startswith("StreamedFolder: whole image files are required, got 2 of 6 in the train split that cannot be read, the first ")
    assert f"{cut} (OSError: image file is truncated" in message and message.endswith("Replace or remove them, or set skip_broken=True.")


def test_broken_files_are_skipped_only_if_asked_to_and_then_named(tmp_path, caplog):
    folder(tmp_path)
    (tmp_path / "train" / "ant" / "1.JPEG").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "shatterlab.data"):
        splits = StreamedFolder(str(tmp_path), size=8, skip_broken=True).load()
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 1] and len(splits.test) == 6
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "1.JPEG (UnidentifiedImageError" in told[0] and told[1] == "StreamedFolder: skipped 1 of 6 files of the train split"


def test_damage_inside_a_file_is_found_when_it_is_read_or_where_broken_files_are_skipped(tmp_path):
    folder(tmp_path)
    hurt = tmp_path / "train" / "ant" / "2.JPEG"
    content = hurt.read_bytes()
    hurt.write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    inputs = StreamedFolder(str(tmp_path), size=8).load().train.inputs
    assert f"at {hurt}. Replace or remove it." in refusal(lambda: inputs[2]) and inputs[[0, 1]].shape == (2, 3, 8, 8)
    assert len(StreamedFolder(str(tmp_path), size=8, skip_broken=True).load().train) == 5


def test_an_empty_class_is_refused(tmp_path):
    folder(tmp_path, per_class=1)
    (tmp_path / "train" / "bee" / "0.JPEG").write_bytes(b"")
    message = refusal(StreamedFolder(str(tmp_path), size=8, skip_broken=True).load)
    assert message == f"StreamedFolder: at least one whole image a class is required, {tmp_path / 'train' / 'bee'} has none. Fill or remove it."
    (tmp_path / "train" / "bee" / "0.JPEG").unlink()
    message = refusal(StreamedFolder(str(tmp_path), size=8).load)
    assert message == f"StreamedFolder: at least one image a class is required, {tmp_path / 'train' / 'bee'} is empty. Fill or remove it."


def test_class_folders_that_differ_are_refused(tmp_path):
    folder(tmp_path)
    (tmp_path / "val" / "bee").rename(tmp_path / "val" / "wasp")
    wanted = "StreamedFolder: the same class folders in train and val are required, got only in train: bee; only in val: wasp"
    assert refusal(StreamedFolder(str(tmp_path), size=8).load) == f"{wanted} in {tmp_path}. Rename or remove them."


def test_fields_out_of_range_are_refused():
    assert refusal(lambda: StreamedFolder("photos", size=0)) == "StreamedFolder: size is a whole number >= 1, got 0"
    assert refusal(lambda: StreamedFolder("photos", fraction=1.5)) == "StreamedFolder: fraction is in (0, 1], got 1.5"
    assert refusal(lambda: StreamedFolder("data:")) == "StreamedFolder: path is the path of a folder, got 'data:'"
    assert refusal(lambda: GeneratedPhotos(classes=1)) == "GeneratedPhotos: classes is a whole number >= 2, got 1"


# layouts and keys ------------------------------------------------------------------------------------------------------


def flat(path: Path, lines) -> StreamedFolder:
    folder(path)
    for number, file in enumerate(sorted((path / "val").rglob("*.JPEG"))):
        file.rename(path / "val" / f"ILSVRC2012_val_{number:08}.JPEG")
    for name in ("ant", "bee"):
        (path / "val" / name).rmdir()
    (path / "labels.txt").write_text("".join(f"{line}\n" for line in lines))
    return StreamedFolder(str(path), size=8, held_out_labels="labels.txt")


def test_validation_photos_without_class_folders_get_their_classes_from_a_file(tmp_path):
    splits = flat(tmp_path / "a", ["bee", "ant", "bee", "ant", "ant", "bee"]).load()
    assert splits.test.labels.tolist() == [0, 0, 0, 1, 1, 1]  # sorted by class
    names = [f"ILSVRC2012_val_{number:08}.JPEG {'bee' if number < 2 else 'ant'}" for number in reversed(range(6))]
    assert flat(tmp_path / "b", names).load().test.labels.tolist() == [0, 0, 0, 0, 1, 1]
    message = refusal(flat(tmp_path / "c", ["bee", "ant"]).load)
    assert 'one line "FILE CLASS" (or CLASS alone) for each file of' in message and "got 2 lines for 6 files, none for ILSVRC2012_val_00000000.JPEG" in message


def test_one_folder_is_parted_three_to_one(tmp_path):
    folder(tmp_path, splits=(".",), per_class=8)
    splits = StreamedFolder(str(tmp_path), size=8).load()
    assert (len(splits.train), len(splits.test)) == (12, 4) and isinstance(splits.test.inputs, Streamed)


def test_the_key_follows_the_files(tmp_path):
    part = StreamedFolder(str(folder(tmp_path)), size=8)
    first = part.identity()["path"]
    assert first.startswith("sha256:") and StreamedFolder(str(tmp_path), size=8).identity()["path"] == first
    file = tmp_path / "train" / "ant" / "0.JPEG"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1  # as long as before
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    second = StreamedFolder(str(tmp_path), size=8).identity()["path"]
    file.rename(file.with_name("00.JPEG"))
    assert len({first, second, StreamedFolder(str(tmp_path), size=8).identity()["path"]}) == 3


def test_a_folder_below_the_data_root_is_known_by_its_name(tmp_path, monkeypatch):
    part = StreamedFolder("data:photos", size=8)
    assert part.identity() == {"kind": "StreamedFolder", "path": "data:photos", "size": 8}
    wanted = f"StreamedFolder: a folder of class folders is required, nothing is at {tmp_path / 'photos'}. "
    assert refusal(lambda: part.load(tmp_path)) == wanted + "Put the photos there, or name the folder that holds it by --data FOLDER or SHATTERLAB_DATA."
    folder(tmp_path / "photos")
    monkeypatch.setenv("SHATTERLAB_DATA", str(tmp_path))
    assert len(part.load().train) == 6 and len(part.load(tmp_path).test) == 6


def test_opencv_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    photos._opencv.cache_clear()
    message = refusal(lambda: GeneratedPhotos().load().train.inputs[0])
    photos._opencv.cache_clear()
    assert message == "StreamedFolder: OpenCV is required to scale photos, it is not installed. Run pip install 'shatterlab[photos]'."


@pytest.mark.data
@pytest.mark.parametrize(("name", "train", "test", "classes"), [("imagenette", 600, 200, 10), ("imagenet-sample", 64, 64, 64)])
def test_real_photos(name, train, test, classes):
    root = Path(os.environ["SHATTERLAB_DATA"])
    if not (root / name).is_dir():
        pytest.skip(f"no {name} below SHATTERLAB_DATA")
    splits = StreamedFolder(f"data:{name}", size=75).load()
    assert (len(splits.train), len(splits.test), splits.train.classes) == (train, test, classes)
    assert 0.2 < splits.train.inputs[::20].mean() < 0.7
