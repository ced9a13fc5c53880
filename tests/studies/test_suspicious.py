"""Which labels look wrong: planted ones are found, clean data has none, noise cannot be judged, and what a user may hand over."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.frames import harmless

MODEL = KNeighborsClassifier(5)


def planted(share: float, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits, labels of which so many are wrong, and which."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    wrong = np.zeros(n, bool)
    wrong[rng.permutation(n)[: round(share * n)]] = True
    return x[:n] / 16, np.where(wrong, (y[:n] + rng.integers(1, 10, n)) % 10, y[:n]), wrong


@pytest.fixture(scope="module")
def noisy():
    x, y, wrong = planted(0.2)
    return sl.suspicious(MODEL, (x.reshape(-1, 8, 8).astype(np.float32), y)), wrong


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_planted_labels_come_first_and_their_share_is_estimated(share):
    """Digits tell neighbours nearly everything: average precision is above 0.9, the estimate within 5 points, most suggestions are right."""
    x, y, wrong = planted(share)
    result = sl.suspicious(MODEL, (x, y))
    frame = result.to_frame()
    assert average_precision_score(wrong[frame["index"]], -frame["margin"]) > 0.9
    [found] = result.findings
    assert found.tells and found.judged == 600 and abs(found.rate.estimate - share) < 0.05
    assert (load_digits().target[frame["index"]][wrong[frame["index"]]] == frame["suggested"][wrong[frame["index"]]]).mean() > 0.8
    share_and_interval = r"\d+\.\d % \[\d+\.\d, \d+\.\d\]"
    answer = f"{found.suspicious} of 600 labels look wrong: the model contradicts {share_and_interval} of those that it is sure about."
    assert re.match(answer, result.verdict)


def test_nothing_stands_out_in_clean_data():
    x, y, _ = planted(0)
    result = sl.suspicious(MODEL, (x, y))
    assert result.verdict.startswith("Nothing stands out: the model contradicts ")
    assert result.findings[0].rate.high < 0.03


def test_pure_noise_cannot_be_judged():
    x, y, _ = planted(0)
    result = sl.suspicious(MODEL, (x, np.random.default_rng(2).permutation(y)))
    assert result.verdict.startswith("This model cannot tell which labels are wrong: ")
    assert not result.flagged.any() and result.confused == [] and "look wrong" not in result.verdict


def test_a_weak_model_does_not_say_how_many():
    """One pixel tells a few digits apart, so the model contradicts most labels although all are right."""
    x, y, _ = planted(0)
    result = sl.suspicious(GaussianNB(), (x[:, 43:44], y))
    assert result.findings[0].tells and result.verdict.startswith("This model cannot tell how many labels are wrong: it contradicts ")


def test_five_examples_cannot_be_judged():
    result = sl.suspicious(KNeighborsClassifier(1), (np.arange(5.0)[:, None], np.array([0, 0, 0, 1, 1])))
    assert result.verdict.startswith("This model cannot tell")


def test_rare_classes_are_judged_beside_a_large_one():
    """Of 400 examples 20 are of the rare class and 5 of these are called common; the others are not suspected for being rare."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 2)), np.zeros(400, int)
    x[:20] += 6
    y[:20] = 1
    y[:5] = 0
    result = sl.suspicious(GaussianNB(), (x, y))
    assert set(result.to_frame()["index"][:5]) == set(range(5)) and result.findings[0].suspicious == 5


def test_a_class_of_one_example_is_not_judged():
    x, y, _ = planted(0, 100)
    y[7] = 10
    result = sl.suspicious(MODEL, (x, y))
    assert not result.judged[7] and result.to_frame()["index"].iloc[-1] == 7
    assert "1 example could not be judged: of a class that no other fold has, or of a fold that did not end." in result.verdict


def test_equal_inputs_with_different_labels_come_first():
    x, y, _ = planted(0, 200)
    x[150], y[150] = x[20], (y[20] + 1) % 10
    result = sl.suspicious(MODEL, (x, y))
    frame = result.to_frame()
    assert set(frame["index"][:2]) == {20, 150} and frame["conflict"].tolist() == [True] * 2 + [False] * 198
    assert "In the data: 2 examples have equal inputs and different labels; they are first in the list." in result.verdict


def test_an_answer_without_probabilities_is_said():
    x, y, wrong = planted(0.1)
    result = sl.suspicious(LinearSVC(), (x, y))
    assert result.findings[0].hard and "The model answers without probabilities (0 or 1)" in result.verdict
    assert wrong[result.to_frame()["index"][:60]].mean() > 0.5
    assert not sl.suspicious(LinearSVC(), (x, y), replicates=3).findings[0].hard  # votes of three


def test_rows_of_a_table_keep_their_numbers_groups_and_splits():
    x, y, _ = planted(0.1, 300)
    frame = pd.DataFrame(x, columns=[f"pixel {j}" for j in range(64)]).assign(digit=[f"digit {label}" for label in y], writer=np.arange(300) // 10)
    result = sl.suspicious(MODEL, frame, target="digit", group="writer")
    listed = result.to_frame()
    assert sorted(listed["index"]) == list(range(300)) and set(listed["label"]) == {f"digit {label}" for label in range(10)}
    assert (listed["label"].to_numpy() == frame["digit"].to_numpy()[listed["index"]]).all()
    writers = [frame["writer"].to_numpy()[row.arrays["fit.left_out"]] for row in result.rows]
    assert sum(len(set(of)) for of in writers) == 30 and not any("test.error" in row for row in result.rows)
    frame["part"] = np.where(np.arange(300) < 200, "train", "test")
    split = sl.suspicious(MODEL, frame.drop(columns="writer"), target="digit", split="part")
    assert sorted(split.to_frame()["index"]) == list(range(200)) and all("test.error" in row for row in split.rows)


def test_replicates_are_averaged_and_rows_are_found_again(tmp_path):
    x, y, _ = planted(0.1, 200)
    seen = []
    first = sl.suspicious(MODEL, (x, y), folds=3, store=tmp_path / "rows.db", on_row=lambda *_: seen.append(1))
    both = sl.suspicious(MODEL, (x, y), folds=3, replicates=2, store=tmp_path / "rows.db", on_row=lambda *_: seen.append(1))
    assert len(seen) == 6 and len(both.rows) == 6
    alone = np.zeros((200, 10))
    for row in both.rows[3:]:
        alone[row.arrays["fit.left_out"]] = row.arrays["fit.probabilities"]
    assert both.probabilities == pytest.approx((first.probabilities + alone) / 2, abs=1e-6)


def test_a_network_is_asked_for_its_probabilities():
    result = sl.suspicious("MLP", sl.Digits(examples=200), folds=2, epochs=20)
    assert result.probabilities.shape == (200, 10) and result.findings[0].tells
    assert result.probabilities.sum(1) == pytest.approx(1, abs=1e-5)


def test_the_page_has_thumbnails_and_the_other_forms_have_none(noisy, tmp_path):
    result, wrong = noisy
    page = result.save(tmp_path / "a.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == result.findings[0].first >= wrong.sum()
    assert "data:image" not in result.save(tmp_path / "a.md").read_text() and "data:image" not in result.text()
    report = json.loads(result.save(tmp_path / "a.json").read_text())
    assert report["findings"][0]["suspicious"] == result.findings[0].suspicious
    assert len(result.text()) < 6000 and "more lines are in the report." in result.text()
    assert "<img" not in result._repr_html_()


def test_hostile_names_are_escaped_and_harmless(tmp_path):
    x, y, _ = planted(0.1, 200)
    names = np.array(["<script>alert(1)</script>", '=HYPERLINK("x")', "@sum", "a\nb", "+1", "-2", *"ghij"])
    frame = pd.DataFrame({"<img src=x onerror=alert(1)>": x[:, 20], **{f"p{j}": x[:, j] for j in range(64)}, "text": names[y]})
    result = sl.suspicious(GaussianNB(), frame, target="text")
    page = result.save(tmp_path / "a.html").read_text()
    assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;alert(1)" in page
    cells = [cell for line in csv.reader(io.StringIO(result.to_csv(tmp_path / "a.csv").read_text())) for cell in line]
    assert '\'=HYPERLINK("x")' in cells and "'@sum" in cells and "+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    assert harmless("\t=1") == "'\t=1" and harmless("-x") == "'-x"
    assert result.verdict.isprintable() or "\n" in result.verdict


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "suspicious: folds is a whole number >= 2, got 1. Five are usual."),
        ({"replicates": 0}, "suspicious: replicates is a whole number >= 1, got 0. One is enough for a first look."),
        ({"rank": "entropy"}, "suspicious: rank is 'margin' or 'self_confidence', got 'entropy'. Take the margin."),
        ({"folds": 99}, "suspicious: at least one example for each fold is required, got 12 examples and 99 folds. Use fewer folds."),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidPart, match=f"^{re.escape(message)}$"):
        sl.suspicious(MODEL, (np.arange(12.0)[:, None], np.arange(12) % 2), **options)


def test_a_regressor_and_numbers_are_refused():
    x, y = np.arange(12.0)[:, None], np.arange(12) % 2
    with pytest.raises(InvalidPart, match=r"^suspicious: a model that tells classes apart is required, got a regressor\."):
        sl.suspicious(Ridge(), (x, y))
    with pytest.raises(DataError, match=r"^suspicious: classes are required, got a target of numbers"):
        sl.suspicious(MODEL, sl.Arrays.of(x, y, task="numbers"))


def test_the_command_writes_the_report_and_the_list(tmp_path, monkeypatch, capsys):
    from shatterlab.cli import main

    monkeypatch.chdir(tmp_path)
    x, y, _ = planted(0.1, 200)
    pd.DataFrame(x[:, :30]).assign(label=y).to_csv("table.csv", index=False)
    command = "suspicious --model sklearn.neighbors:KNeighborsClassifier --set n_neighbors=7 --data table.csv --target label --workers 1"
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command.split(), "--csv", "list.csv", "--output", "out.html", "--store", "rows.db"])
    printed = capsys.readouterr().out
    assert "labels look wrong" in printed and "Report: out.html" in printed
    assert len((tmp_path / "list.csv").read_text().splitlines()) == 201 and (tmp_path / "out.html").stat().st_size > 10_000


def test_the_command_refuses_in_one_line(tmp_path, monkeypatch, capsys):
    from shatterlab.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^3$"):
        main(["suspicious", "--data", "nothing.csv", "--target", "label"])
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["suspicious", "--output", "list.txt"])
