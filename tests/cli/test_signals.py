"""A command that is terminated or hung up ends as one that is interrupted: whole store, no worker, an exit code that says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shatterlab.store.upkeep import check

RECIPE = """
import os, time
from pathlib import Path

def train(inputs, labels, classes, seed):
    Path(os.environ["MARK"]).write_text(str(os.getpid()))
    time.sleep(100)
"""


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(happens, seconds=90.0) -> bool:
    deadline = time.monotonic() + seconds
    while not happens() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(happens())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_command_leaves_a_whole_store_and_no_worker(tmp_path, number):
    (tmp_path / "mine.py").write_text(RECIPE)
    mark: Path = tmp_path / "mark"
    command = [
        sys.executable,
        "-m",
        "shatterlab",
        "audit",
        "--recipe",
        "mine.py:train",
        "--examples",
        "50",
        "--replicates",
        "2",
        "--permutations",
        "0",
        "--workers",
        "1",
    ]
    default = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}  # a background job may inherit an ignored one
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "MARK": str(mark)}, stderr=subprocess.PIPE, text=True, **default) as running:
        assert until(lambda: (mark.exists() and mark.read_text()) or running.poll() is not None)
        worker = int(mark.read_text())
        running.send_signal(number)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 128 + number, told
    assert told.splitlines()[-1] == "Interrupted. Finished trials are in shatterlab.sqlite; the same command does the rest."
    assert until(lambda: is_gone(worker), 10)
    assert check(tmp_path / "shatterlab.sqlite").is_whole
