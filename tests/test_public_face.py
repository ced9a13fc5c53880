"""The public face: its names have the types of their sources, and importing it costs nothing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import shatterlab as sl

REPOSITORY = Path(__file__).resolve().parent.parent
STUB = Path(sl.__file__).with_suffix(".pyi")

CALLS = """
import shatterlab as sl

sl.Training(sl.MLP())
sl.Training(sl.MLP(), nonsense=3)
sl.Nonsense
reveal_type(sl.audit())
reveal_type(sl.TrueLabels())
reveal_type(sl.catalog.find())
"""
EXPECTED = {
    5: 'error: Unexpected keyword argument "nonsense" for "Training"',
    6: 'error: Module has no attribute "Nonsense"',
    7: f'note: Revealed type is "{sl.Audit.__module__}.Audit"',
    8: f'note: Revealed type is "{sl.PartialLabels.__module__}.PartialLabels"',
    9: 'note: Revealed type is "typing.Mapping[str, shatterlab.core.catalog.Entry]"',
}


def generated() -> str:
    spec = importlib.util.spec_from_file_location("public_face", REPOSITORY / "tools" / "public_face.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return str(tool.stub())


def test_the_stub_is_current():
    assert STUB.read_text() == generated(), "a public name was added or has moved: run `python tools/public_face.py` (or `make face`) and commit the stub"


def test_a_type_checker_knows_the_public_names():
    file = REPOSITORY / ".mypy_cache" / "public_calls.py"  # beside the cache of `make lint`, which this run shares: one place, or mypy repeats old messages
    file.parent.mkdir(exist_ok=True)
    file.write_text(CALLS)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-codes", file]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    messages = [line.removeprefix(f"{file.relative_to(REPOSITORY)}:").split(": ", 1) for line in done.stdout.splitlines() if "defined in" not in line]
    assert {int(line): message for line, message in messages} == EXPECTED, done.stdout + done.stderr


def test_the_import_is_quick_and_brings_no_part():
    code = (
        "import sys, time; start = time.process_time(); import shatterlab; seconds = time.process_time() - start; "
        "print(seconds, *(name for name in sys.modules if name.startswith('shatterlab.') or name in ('torch', 'numpy', 'scipy', 'sklearn')))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() for _ in range(5)]
    assert min(float(seconds) for seconds, *_ in runs) < 0.1
    assert {name for _, *names in runs for name in names} == set()
