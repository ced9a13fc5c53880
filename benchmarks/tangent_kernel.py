"""Peak memory and time of the empirical tangent kernel of an MLP 1x512 on 3x28x28 inputs, by us and by torch.func.jacrev's matrix.

    python benchmarks/tangent_kernel.py > benchmarks/results/tangent_kernel.txt

Every figure is a process of its own, in float32, with one thread. "More" is the peak resident memory of the process less its peak when
inputs and network were there: what the kernel itself takes, its result included. The naive way writes the n x k x p Jacobian out and
multiplies it with itself: at n = 2,000, 10 scores and 1,209,866 parameters that is 2,000 x 10 x 1,209,866 x 4 bytes = 97 GB, which is
not run, nor extrapolated to; the two are compared at sizes where both run. Goal: at least 3 times less memory, and the same matrix.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.func import functional_call, jacrev, vmap

import shatterlab as sl
from shatterlab.kernels.empirical_tangent import tangent_gram
from shatterlab.training.torch_seed import seeded

CASES = (
    ("naive", 50, None),
    ("ours", 50, None),
    ("naive", 200, 0),
    ("ours", 200, 0),
    ("blocks of rows", 200, 0),
    ("ours", 500, None),
    ("ours", 1000, None),
    ("ours", 2000, None),
)


def naive(network: torch.nn.Module, x: torch.Tensor, output: int | None) -> torch.Tensor:
    """J J' with the Jacobian of all parameters written out, as the torch tutorial on tangent kernels has it."""
    parameters = {name: value.detach() for name, value in network.named_parameters()}

    def scores(values: dict[str, torch.Tensor], example: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = functional_call(network, values, (example[None],))[0]
        return found if output is None else found[output : output + 1]

    jacobian = vmap(jacrev(scores), (None, 0))(parameters, x)
    total = x.new_zeros((len(x), len(x)))
    for each in jacobian.values():
        flat = each.flatten(1)  # the sum over scores of <df_c(x), df_c(z)> is one inner product over scores and parameters
        total.addmm_(flat, flat.T)
    return total / next(iter(jacobian.values())).shape[1]


def one(way: str, n: int, output: int | None) -> None:
    """Measures one way in this process, and prints it as JSON."""
    torch.set_num_threads(1)
    with seeded(0, torch.device("cpu")):
        network = sl.MLP((512,)).build((3, 28, 28), 10)
        x = torch.randn(n, 3, 28, 28)
    network(x[:2]).sum().backward()  # what the first call of anything allocates
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    gram = naive(network, x, output) if way == "naive" else tangent_gram(network, x, output=output, structured=way == "ours")
    seconds = time.perf_counter() - start
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sums = {"trace": gram.trace().item(), "squares": gram.double().square().sum().item()}
    print(json.dumps({"seconds": seconds, "more": more / 1024, **sums}))


def main() -> None:
    """The table, or one line of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3)
    asked = parser.parse_args().one
    if asked:
        one(asked[0], int(asked[1]), None if asked[2] == "all" else int(asked[2]))
        return
    found = {}
    print(f"torch {torch.__version__}; MLP 1x512, 1,209,866 parameters, float32, 1 thread; every line a process of its own")
    print(f"{'way':16} {'n':>6} {'scores':>7} {'more, MiB':>10} {'seconds':>8} {'trace':>12} {'sum of squares':>15}")
    for way, n, output in CASES:
        told = "all 10" if output is None else "one"
        command = [sys.executable, str(Path(__file__).resolve()), "--one", way, str(n), "all" if output is None else str(output)]
        line = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        found[way, n, output] = line
        print(f"{way:16} {n:6} {told:>7} {line['more']:10.0f} {line['seconds']:8.2f} {line['trace']:12.6g} {line['squares']:15.6g}", flush=True)
    for n, output in ((50, None), (200, 0)):
        theirs, ours = found["naive", n, output], found["ours", n, output]
        same = abs(ours["squares"] / theirs["squares"] - 1)
        less, faster = theirs["more"] / ours["more"], theirs["seconds"] / ours["seconds"]
        print(f"n = {n}: {less:.1f} times less memory, {faster:.1f} times as fast; sums of squares differ by {same:.1e}")


if __name__ == "__main__":
    main()
