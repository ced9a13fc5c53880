"""Seconds of whole audits at the command line, from start to report.

    python benchmarks/audit.py [quick | forest | readme | cnn ...] [--data FOLDER] [--repeats 3]

`quick`: a forest on breast cancer with --quick (goal 20 s). `forest`: a forest on 5,000 x 30 (goal 60 s).
`readme`: the audit that README quotes, a forest on the breast cancer table with 199 permutations.
`cnn`: a small convolutional net on 5,000 images of CIFAR-10 with --budget 8m, once (goal 600 s). Each in a folder of its own, with two processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, make_classification

NET = """
from torch import nn


def net(channels, classes):
    layers = [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, classes))
"""
FOREST = "sklearn.ensemble:RandomForestClassifier"
ASKED = {
    "quick": ["--model", FOREST, "--data", "cancer.npz", "--quick"],
    "forest": ["--model", FOREST, "--data", "large.npz"],
    "readme": ["--model", FOREST, "--data", "table.csv", "--target", "y", "--permutations", "199"],
    "cnn": ["--model", "net.py:net", "--data", "CIFAR10", "--examples", "5000", "--epochs", "60", "--budget", "8m"],
}


def prepare(folder: Path) -> None:
    """The files that the audits read."""
    x, y = load_breast_cancer(return_X_y=True)
    np.savez(folder / "cancer.npz", x=x.astype(np.float32), y=y)
    x, y = make_classification(5000, 30, n_informative=10, random_state=0)
    np.savez(folder / "large.npz", x=x.astype(np.float32), y=y)
    table = load_breast_cancer(as_frame=True)
    table.data.assign(y=table.target_names[table.target]).to_csv(folder / "table.csv", index=False)
    (folder / "net.py").write_text(NET)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*ASKED, []], default=["quick", "forest"])
    parser.add_argument("--data", default=os.environ.get("SHATTERLAB_DATA"))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"SHATTERLAB_DATA": options.data} if options.data else {})
    for name in options.names:
        taken, out = [], ""
        for _ in range(1 if name == "cnn" else options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                prepare(Path(folder))
                start = time.perf_counter()
                command = [sys.executable, "-m", "shatterlab", "audit", *ASKED[name], "--workers", "2"]
                done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
                taken.append(time.perf_counter() - start)
                plan = [line for line in done.stderr.splitlines() if line.startswith("At most")]
                out = "\n".join([*plan, *done.stdout.split("\n\n")[1:2]])
        print(f"{name}: {', '.join(f'{seconds:.1f}' for seconds in taken)} s; load {os.getloadavg()[0]:.1f}\n{out}\n", flush=True)


if __name__ == "__main__":
    main()
