"""From names, files, folders and options to learners and data sets."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torch import nn

import shatterlab as sl
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.datasets import image_folder
from shatterlab.studies.model_and_data import dataset, learners, model_from_options, recipe_text


def net(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))


def only(**recipe):
    [learner] = learners(net, 1000, **recipe)
    return learner


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng([number, name == "dog"]).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_optimizers_and_augmentations_are_named_in_letters_of_either_case_and_their_fields_by_name():
    assert only().optimizer == sl.SGD() and only(lr=0.2).optimizer == sl.SGD(lr=0.2)
    assert only(optimizer="adam", lr=0.003, weight_decay=0.1).optimizer == sl.Adam(lr=0.003, weight_decay=0.1)
    assert only(optimizer="AdamW", betas=[0.5, 0.9]).optimizer == sl.AdamW(betas=(0.5, 0.9))
    assert only(optimizer=sl.RMSProp(eps=1.0), lr=0.1).optimizer == sl.RMSProp(lr=0.1, eps=1.0)
    learner = only(augmentation=["horizontalflip", sl.Cutout(4)], whiten=False, decay=1.0)
    assert (learner.augmentation, learner.whiten, learner.decay) == ((sl.HorizontalFlip(), sl.Cutout(4)), False, 1.0)
    assert only(augmentation="Rotation").augmentation == (sl.Rotation(),)
    assert [each.optimizer.lr for each in learners(None)] == [0.05, 0.05] and learners(None, optimizer="adam")[0].optimizer == sl.Adam()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"optimizer": "adm"}, "audit: optimizer: a known name is required, got 'adm'. Did you mean Adam"),
        ({"augmentation": "flip"}, "audit: augmentation: a known name is required, got 'flip'. "),
        ({"momentun": 0.5}, "audit: recipe: a known name is required, got 'momentun'. Did you mean momentum"),
        ({"optimizer": "adam", "momentum": 0.5}, "audit: recipe: a known name is required, got 'momentum'. "),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(recipe, message):
    with pytest.raises(UnknownName) as refused:
        only(**recipe)
    assert str(refused.value).startswith(message)


def test_options_of_the_command_line_go_to_the_optimizer_and_to_training():
    model, fields = model_from_options("MLP", None, {"epochs": 3}, arguments=("weight_decay=0.1", "stop=budget"))
    [learner] = learners(model, **fields)
    assert (learner.epochs, learner.stop, learner.optimizer) == (3, "budget", sl.SGD(weight_decay=0.1))
    with pytest.raises(InvalidPart, match=r"^audit: one value for lr is required, got --lr and --set lr=\. Leave one out\.$"):
        model_from_options("MLP", None, {"lr": 0.1}, arguments=("lr=0.2",))
    with pytest.raises(InvalidPart, match=r"^audit: --set changes an estimator or the training of a network, got it beside --recipe a:b\. Leave it out\.$"):
        model_from_options(None, "a:b", {}, arguments=("lr=0.2",))


def test_a_folder_is_held_in_memory_or_streamed_by_its_size(photos, monkeypatch):
    assert dataset(photos) == sl.ImageFolder(str(photos)) and dataset(photos, size=48) == sl.ImageFolder(str(photos), size=48)
    with pytest.raises(InvalidPart, match=r"^audit: size is the side of the images of a folder, got Digits\. Leave it out\.$"):
        dataset("Digits", size=48)
    monkeypatch.setattr(image_folder, "_LIMIT", 16 * 3 * 20 * 20 * 4)
    assert dataset(photos, size=20) == sl.ImageFolder(str(photos), size=20)
    streamed = dataset(photos, 10, size=21)
    assert streamed == sl.StreamedFolder(str(photos), size=21, examples=10)
    audited = sl.audit(net, streamed, replicates=1, levels=(), epochs=2, optimizer="adam", whiten=False, batch_size=4)
    assert {row["status"] for row in audited.rows} == {"ok"}
    assert {row["learner.kind"] for row in audited.rows} == {"StreamedTraining"} and {row["learner.stop"] for row in audited.rows} == {1.0}


def test_the_recipe_is_told_where_it_is_ours():
    text = recipe_text(only(optimizer="adamw", epochs=7, augmentation="HorizontalFlip"), (3, 32, 32))
    assert text == (
        "Your network was trained by our recipe: AdamW (lr 0.001, weight_decay 0.01), batches of 64, at most 7 epochs, images of 32 x 32, whitened, "
        "augmented by HorizontalFlip; not by your own training code: pass a recipe for that."
    )
    assert "columns standardized" in recipe_text(only(), (5,)) and "not whitened" in recipe_text(only(whiten=False), (5,))
    assert "images of 16 x 16" in recipe_text(only(crop=16), (3, 32, 32))
    assert "scaled to [-1, 1]" in recipe_text(learners(net, streamed=True)[0])
    assert recipe_text(sl.Twins(only())) == recipe_text(only())
    assert recipe_text(sl.Recipe("shatterlab.learners.recipe:nearest_class_mean")) == ""
