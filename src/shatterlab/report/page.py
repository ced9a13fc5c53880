"""The page: one HTML file that needs no other and asks nothing of the network."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from shatterlab import __version__
from shatterlab.analysis.naming import capital, heading
from shatterlab.analysis.provenance import mixed_origins
from shatterlab.analysis.replicates import unique
from shatterlab.analysis.summary import LEVEL
from shatterlab.core.values import Row
from shatterlab.report import sections
from shatterlab.views import Grid
from shatterlab.views.listed import Picture

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

_HERE = Path(__file__).parent
_SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
_LICENSES = ("vega.LICENSE", "vega-lite.LICENSE", "vega-embed.LICENSE", "bundled.LICENSES")
_TONES = {"reproduced": "good", "observed": "good", "contradicted": "bad", "undecided": "open", "too few trials": "open"}


def render(
    experiment: Experiment,
    rows: Iterable[Row],
    *,
    verdict: Sequence[str] = (),
    reproduce: Sequence[str] = (),
    scale: str = "",
    folded: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """The report of an experiment as one HTML page: verdict, claims, figures, tables, trials, self-checks, how to run it again.

    The page holds all that it needs; its content security policy forbids every request and every script but its own. Text and tables need no script.

    Args:
        experiment: its question, views and claims.
        rows: the results of its own trials (`Experiment.select` has them); each key counts once.
        verdict: the answer in plain words, the main sentence first; without one the claims are counted.
        reproduce: the commands that make this report again.
        scale: the name of the scale that the trials were run at.
        folded: whether a reader has to open all but the verdict and the views that are not `aside`; claims then come after these.
        notes: further sentences below the verdict.
    """
    rows = unique(rows)
    judged = sections.claims(experiment, rows)
    figures = sections.figures(experiment.views, rows)
    scripts = [_script(_HERE / "vendor" / name) for name in _SCRIPTS] if any(figure.spec for figure in figures) else []
    scripts.append(_script(_HERE / "templates" / "page.js"))
    same, varying = sections.configuration(rows)
    context = {
        "experiment": experiment,
        "scale": scale,
        "verdict": [*(verdict or sections.headline(judged, rows)), *notes, *mixed_origins(rows)],
        "claims": judged,
        "tones": _TONES,
        **_drawn(figures, folded),
        "trials": sections.trials(rows),
        "listed": len(sections.listed(rows)),
        "mishaps": sections.mishaps(rows),
        "total": len(rows),
        "unfinished": sections.unfinished(experiment, rows),
        "counts": sections.counts(rows),
        "checks": sections.checks(rows),
        "false_alarm": sections.FALSE_ALARM,
        "same": same,
        "varying": varying,
        "replicates": sections.replicates(rows),
        "permutations": sections.permutations(rows),
        "versions": sections.versions(rows),
        "finished": _finished(rows),
        "seconds": sum(float(value) for row in rows if isinstance(value := row.get("seconds"), int | float) and math.isfinite(value)),
        "reproduce": list(reproduce),
        "level": LEVEL,
        "version": __version__,
        "scripts": scripts,
        "policy": _policy(scripts),
        "style": Markup((_HERE / "templates" / "style.css").read_text("utf-8")),
        "licenses": [(name, (_HERE / "vendor" / name).read_text("utf-8")) for name in _LICENSES] if len(scripts) > 1 else [],
    }
    return _environment().get_template("report.html.j2").render(context)


def notebook(verdict: Sequence[str], title: str, grid: Grid | None) -> str:
    """The verdict and one table as HTML for a notebook; it needs no script and no style of its own.

    Args:
        verdict: the answer in plain words, the main sentence first.
        title: of the table.
        grid: the table; None: no table.
    """
    return _environment().get_template("notebook.html.j2").render(verdict=list(verdict), title=title, grid=grid)


def _drawn(figures: Sequence[sections.Figure], folded: bool) -> dict[str, Any]:
    """The charts and tables to show at once, and those that are folded away."""
    groups: dict[str, Any] = {"folded": folded, "legends": any('"legend": {' in json.dumps({**(figure.spec or {}), "config": None}) for figure in figures)}
    for name in ("", "further_"):
        members = [figure for figure in figures if (folded and figure.aside) == bool(name)]
        groups |= {f"{name}charts": [figure for figure in members if figure.spec], f"{name}tables": [figure for figure in members if not figure.spec]}
    return groups


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_HERE / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"embedded": embedded, "cell": _cell, "capital": capital, "heading": heading, "duration": _duration}
    return environment


def embedded(value: Any) -> Markup:
    """JSON that can stand inside a script element whatever text it holds: no <, > or & is left in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@functools.cache
def _script(path: Path) -> Markup:
    """A script as it stands in the page, without the pointer to a source map, which a browser would ask for."""
    text = re.sub(r"(?m)^//# sourceMappingURL=.*$", "", path.read_text("utf-8")).strip()
    assert "</script" not in text.lower() and "<!--" not in text  # either would end the element early
    return Markup(text)


def _policy(scripts: Sequence[str]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"


def _cell(text: str) -> Markup:
    if isinstance(text, Picture):
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(base64.b64encode(text.png).decode(), text)
    match = re.fullmatch(r"([^\[(,]+) (\[[^\]]*\].*|\(.*\))", text)
    return Markup("<b>{}</b> <span class='extra'>{}</span>").format(*match.groups()) if match else Markup("{}").format(text)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _finished(rows: Sequence[Row]) -> str:
    dates = sorted(str(row["finished"])[:10] for row in rows if row.get("finished"))
    return "" if not dates else dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
