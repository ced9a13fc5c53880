"""The command `memorization`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json

import pytest

from shatterlab.cli.commands import main

TREE = ("memorization", "--model", "sklearn.tree:DecisionTreeClassifier", "--examples", 60, "--workers", 1)


def shatterlab(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def test_fits_are_kept_and_reports_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = (*TREE, "--set", "max_depth=4", "--trials", 12, "--error", 0.1, "--level", 0.2)
    assert shatterlab(*asked) == 0
    first = capsys.readouterr()
    assert "12 fits on 70 % of 60 examples; the root mean squared error of a value is at most 0.89. At most 0.1 takes 480 trials." in first.err
    assert "DecisionTreeClassifier memorizes about" in " ".join(first.out.split())
    assert "Report: shatterlab-memorization.html" in first.out
    assert "data:image/png" in (tmp_path / "shatterlab-memorization.html").read_text()
    assert shatterlab(*asked, "--output", "memory.json") == 0
    assert "[12/12]" not in capsys.readouterr().err  # nothing is missing: no trial runs
    report = json.loads((tmp_path / "memory.json").read_text())
    assert report["findings"][0]["trials"] == 12
    assert report["rows"][0]["learner.learner.arguments"] == '{"max_depth":4}'


def test_exact_values_take_one_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nearest = ("memorization", "--model", "sklearn.neighbors:KNeighborsClassifier", "--examples", 60, "--workers", 1, "--output", "memory.md")
    assert shatterlab(*nearest) == 0
    assert "(exact values)" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "memory.md").exists()


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("--trials", 5), 2, "error: memorization: trials is a whole number >= 10 or None, got 5. 200 are usual."),
        (("--share", 1), 2, "error: memorization: share is a fraction in (0, 1), got 1.0. 0.7 is usual."),
        (("--level", 2), 2, "error: PartialLabels: level is a probability in [0, 1], got 2.0"),
        (("--output", "memory.pdf"), 2, "error: report: a file that ends in .html, .md or .json is required, got 'memory.pdf'. Rename it, or name the format."),
        (("--data", "rows.npz"), 3, "error: Arrays: an .npz file is required, nothing is at"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, code, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert shatterlab(*TREE, *words) == code
    error = capsys.readouterr().err.strip()
    assert "Traceback" not in error
    assert " ".join(error.splitlines()[-1].split()).startswith(line)


def test_a_model_is_required(capsys):
    assert shatterlab("memorization", "--data", "Digits") == 2
    assert "--model" in capsys.readouterr().err
