# ruff: noqa: E402 (the number of threads is set before torch and numpy are imported)
"""One thread, shapes and types checked at run time, derandomized properties, and markers that say why they skip."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import jaxtyping
import numpy as np
import pytest

CHECKED = ("architectures", "augmentations", "corruptions", "datasets", "kernels", "learners", "measures", "optimizers", "readers")


def _type_checker() -> Any:
    """Beartype, which is to choose the items that it looks at by a generator of its own, not by everybody's."""
    with mock.patch("random.getrandbits", random.Random(0).getrandbits):
        from beartype import BeartypeConf, FrozenDict, beartype

        # it knows numpy's NDArray, but not the `np.ndarray[Any, Any]` that is the same
        made = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({np.ndarray[Any, Any]: np.ndarray})))

        def first(items: Sequence[int]) -> int:
            return items[0]

        assert made(first)([1]) == 1  # its last modules are imported with the first function that it checks
    return made


typechecked = _type_checker()
_jaxtyped = jaxtyping.jaxtyped


def _checked(**options: Any) -> Any:
    """Checks methods and functions, but for two kinds.

    A part takes 1 for 1.0 and normalizes it, so its constructor stays unchecked. A function inside another would get a checker written
    and compiled at each call of the outer one: that was two thirds of the time of the tangent kernel's tests, and none has a shape to check.
    """
    from shatterlab.core.part import Part

    def decorate(target: Any) -> Any:
        unchecked = issubclass(target, Part) if isinstance(target, type) else "<locals>" in target.__qualname__
        return target if unchecked else _jaxtyped(target, **options)

    return decorate


def pytest_configure(config: pytest.Config) -> None:
    late = [name for name in sys.modules if name.startswith(tuple(f"shatterlab.{kind}." for kind in CHECKED))]
    assert not late, f"imported before they could be type-checked: {late}"
    jaxtyping.jaxtyped = _checked
    jaxtyping.install_import_hook([f"shatterlab.{kind}" for kind in CHECKED], f"{__name__}.typechecked")
    hypothesis.settings.register_profile("quick", derandomize=True, deadline=None, max_examples=50, database=None)
    hypothesis.settings.load_profile("quick")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a background job inherits that; a terminal's programs do not have it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = os.environ.get("SHATTERLAB_DATA", "")
    no_files = not root or not Path(root).is_dir() or not any(Path(root).iterdir())
    no_browser = not (shutil.which("chromium") or shutil.which("chromium-browser"))
    for item in items:
        if no_files and item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=f"needs the real data sets, SHATTERLAB_DATA is {root or 'not set'}"))
        if no_browser and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="needs Debian's chromium, which is not installed"))


@pytest.fixture
def images() -> Any:
    """Splits of 400 and 150 images, 3 x 6 x 6, of 5 classes of unequal size."""
    from shatterlab.laws import samples

    return samples.images()


@pytest.fixture
def table() -> Any:
    """Splits of 400 and 150 rows of 7 features, 5 classes of unequal size."""
    from shatterlab.laws import samples

    return samples.table()


@pytest.fixture
def small_images() -> Any:
    """Splits of 60 and 40 images, 3 x 6 x 6, of 5 classes of unequal size."""
    from shatterlab.laws import samples

    return samples.images(60, 40)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes classes defined in a test known to the catalog, as those of an outside file are."""
    from shatterlab.core import catalog

    def register(*classes: Any) -> None:
        for cls in classes:
            monkeypatch.setitem(catalog._outside, cls.__name__, cls)

    return register


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-quic",
    ]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=quiet)
        yield opened
        opened.close()
