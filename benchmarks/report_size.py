"""Megabytes of an audit's page with 1,000 trials, seconds to write it, and milliseconds until a browser paints it.

    python benchmarks/report_size.py

Needs the extra `dev` and Debian's chromium. The page is opened `--repeats` times in a new headless browser, at 1280 and at 400 pixels: "first paint" is the
browser's own first contentful paint; "drawn" is when every chart that is not folded stands. Goals: under 5 MB, first paint under 1,000 ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import shatterlab as sl
from shatterlab.studies.audit import Audit


def opened(page: Path, width: int) -> tuple[float, float]:
    """Milliseconds from navigation to first paint, and until the charts are drawn."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": width, "height": 900})
        shown.goto(page.as_uri())
        shown.wait_for_selector("html[data-drawn]", timeout=60_000)
        drawn = shown.evaluate("performance.now()")
        painted = shown.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        browser.close()
    return float(painted), float(drawn)


def audited(permutations: int, replicates: int, epochs: int) -> Audit:
    """A small network, whose trials keep learning curves and whose score is real, so that the test takes all its permutations."""
    model = sl.Training(sl.MLP(hidden=(32,)), optimizer=sl.SGD(0.05), epochs=epochs)
    return sl.audit(model, sl.Digits(examples=200), permutations=permutations, replicates=replicates, tell=None)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("permutations", 970), ("replicates", 5), ("epochs", 8), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    result = audited(options.permutations, options.replicates, options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "audit.html"
        start = time.perf_counter()
        result.save(page)
        took = time.perf_counter() - start
        told = f"{len(result.rows):,} trials (p = {result.p_value:.3g}): {page.stat().st_size / 1e6:.2f} MB, written in {took:.1f} s"
        print(f"{told}; load {os.getloadavg()[0]:.1f}")
        for form in ("md", "json"):
            print(f"as {form}: {result.save(Path(folder) / f'audit.{form}').stat().st_size / 1e3:,.0f} kB")
        for width in (1280, 400) if options.repeats else ():
            times = [opened(page, width) for _ in range(options.repeats)]
            columns = dict(zip(("first paint", "drawn"), zip(*times, strict=True), strict=True))
            parts = [f"{name} {statistics.median(each):,.0f} ms [{min(each):,.0f}, {max(each):,.0f}]" for name, each in columns.items()]
            print(f"{width:5} pixels, {options.repeats} browsers: median [least, most]: {', '.join(parts)}")


if __name__ == "__main__":
    main()
