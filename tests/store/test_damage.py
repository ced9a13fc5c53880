"""A store knows when it is damaged: no value is silently wrong, the rest stays usable, and a file that is gone costs no finished row."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from shatterlab.cli.commands import main
from shatterlab.core import Row
from shatterlab.core.errors import StoreError
from shatterlab.executors.drive import drive
from shatterlab.store import tables
from shatterlab.store.database import Store
from shatterlab.store.upkeep import backup, check, repair

CURVES = [(epoch, 391 * epoch, name, epoch / 7) for epoch in range(1, 11) for name in ("test.loss", "train.loss")]


@dataclass(frozen=True)
class Asked:
    """What the store knows of a trial."""

    key: str


def made(number: int, status="ok", minute=0) -> Row:
    columns = {
        "key": f"{number:064x}",
        "status": status,
        "finished": f"2026-01-01T00:{minute:02d}:00+00:00",
        "n": number,
        "test.error": number / 7,
        "name": "ä",
    }
    return Row(columns, CURVES, {"fit.weights": np.arange(40.0) + number})


def same(one: Row, other: Row) -> bool:
    arrays = one.arrays.keys() == other.arrays.keys() and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    return dict(one) == dict(other) and one.curves == other.curves and arrays


@pytest.fixture
def path(tmp_path):
    """A store of 30 keys, one of which was run again."""
    path = tmp_path / "results.sqlite"
    with Store(path) as store:
        for number in range(30):
            store.add(made(number, "failed" if number == 7 else "ok"))
        store.add(made(7, minute=1))
    return path


def changed(path: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def exit_code(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    return int(ended.value.code)


def flipped(content: bytes, rng: random.Random) -> bytes:
    place, damaged = rng.randrange(len(content)), bytearray(content)
    damaged[place] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def outcome(path: Path, wanted: dict[str, Row]) -> str:
    """What became of a store with one flipped bit; fails where a row is wrong or gone without a word."""
    with contextlib.suppress(StoreError), Store(path, create=False) as store:
        rows = {row["key"]: row for row in store.rows()}
        missing = {trial.key for trial in store.missing([Asked(key) for key in wanted])}
        return judged(rows, missing, store.damaged, wanted)
    return "refused"


def judged(rows, missing, damages, wanted) -> str:
    before = made(7, "failed")  # speaks for its key where the run after it is damaged
    assert all(same(row, wanted[key]) or (damages and same(row, before)) for key, row in rows.items())
    assert damages or rows.keys() == wanted.keys(), "rows are gone without a word"
    assert missing >= wanted.keys() - rows.keys()
    return "damage named" if damages else "every row as it was"


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_never_a_silently_wrong_row(path, seed, caplog):
    """A hundred places: each row is as it was or named as damaged, or the file is refused in one line."""
    caplog.set_level(logging.CRITICAL, "shatterlab.store")
    with Store(path, create=False) as store:
        wanted = {row["key"]: row for row in store.rows()}
    content, rng = path.read_bytes(), random.Random(seed)
    outcomes = []
    for _ in range(25):
        path.write_bytes(flipped(content, rng))
        outcomes.append(outcome(path, wanted))
    assert {"damage named", "every row as it was"} <= set(outcomes)


DAMAGE = {
    "a scalar": ("UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'", "its scalars differ from the digest"),
    "a name": ("UPDATE scalars SET name = 'tesu.error' WHERE run = 5 AND name = 'test.error'", "its scalars differ from the digest"),
    "a name that is none": ("UPDATE scalars SET name = x'ff' WHERE run = 5 AND name = 'test.error'", "it cannot be read (TypeError: "),
    "a text that is none": ("UPDATE scalars SET value = CAST(x'ff' AS TEXT) WHERE run = 5 AND name = 'name'", "it cannot be read (OperationalError: "),
    "a curve": ("UPDATE curves SET value = 9 WHERE run = 5 AND epoch = 3 AND name = 'test.loss'", "its curves differ from the digest"),
    "a point that is gone": ("DELETE FROM curves WHERE run = 5 AND epoch = 3", "its curves differ from the digest"),
    "a step": ("UPDATE curves SET step = 'x' WHERE run = 5 AND epoch = 3", "it cannot be read (error: "),
    "an array": ("UPDATE arrays SET data = zeroblob(320) WHERE run = 5", "its arrays differ from the digest"),
    "a type": ("UPDATE arrays SET dtype = '<i8' WHERE run = 5", "its arrays differ from the digest"),
    "data that are text": ("UPDATE arrays SET data = 'none' WHERE run = 5", "it cannot be read (TypeError: "),
    "a status": ("UPDATE runs SET status = 'diverged' WHERE run = 5", "its heading differs from its digest"),
    "a heading that is no text": ("UPDATE runs SET finished = CAST(x'ff' AS TEXT) WHERE run = 5", "its heading differs from its digest"),
    "a digest": ("UPDATE runs SET digest = '' WHERE run = 5", "its heading differs from its digest"),
}


@pytest.mark.parametrize(("statement", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_run_is_named_left_out_and_counted_as_missing(path, statement, reason, caplog):
    changed(path, statement)
    with Store(path) as store:
        rows = store.rows()
        (damage,) = store.damaged
        assert (damage.run, damage.key) == (5, f"{4:064x}") and damage.reason.startswith(reason)
        (told,) = [record.getMessage() for record in caplog.records]
        assert told.startswith("Store: results.sqlite is damaged, run 5 (key 000000000000): ") and told.isprintable()
        assert len(rows) == 29 and [trial.key for trial in store.missing([Asked(f"{n:064x}") for n in range(30)])] == [f"{4:064x}"]
        store.add(made(4))
        assert [row["n"] for row in store.rows()] == [*range(4), *range(5, 30), 4] and store.missing([Asked(f"{4:064x}")]) == []


def test_a_run_that_is_gone_is_noticed(path, caplog):
    changed(path, "DELETE FROM runs WHERE run IN (5, 6)")
    with Store(path, create=False) as store:
        assert len(store.rows()) == 28
        assert [str(damage) for damage in store.damaged] == ["run 5: 2 runs before run 7 are gone"]


def test_the_run_before_speaks_where_the_newest_is_damaged(path, caplog):
    changed(path, "UPDATE scalars SET value = 1 WHERE run = 31 AND name = 'n'")
    with Store(path) as store:
        assert [row["status"] for row in store.rows(keys=[f"{7:064x}"])] == ["failed"]
        assert len(store.missing([Asked(f"{7:064x}")])) == 1


def test_what_is_not_read_is_not_compared(path, caplog):
    changed(path, "UPDATE curves SET value = 9 WHERE run = 5 AND epoch = 3")
    with Store(path, create=False) as store:
        assert len(store.rows(curves=False)) == 30 and store.damaged == ()


def test_merging_leaves_damaged_runs_behind(path, tmp_path, caplog):
    changed(path, "UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'")
    with Store(tmp_path / "merged.sqlite") as merged:
        assert merged.merge(path) == 30 and len(merged.rows()) == 29 and merged.damaged == ()


def test_a_sweep_that_loses_a_row_at_its_end_says_so(path, monkeypatch):
    with Store(path) as store:
        monkeypatch.setattr(Store, "missing", lambda *_: [])
        changed(path, "UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'")
        with pytest.raises(StoreError, match=r"^Store: whole rows are required, got 1 damaged of 30 in results\.sqlite\. Run the same command again\.$"):
            drive([Asked(f"{n:064x}") for n in range(30)], store, Nothing())


class Nothing:
    """An executor without work."""

    def as_completed(self):
        return iter(())

    def shutdown(self, cancel=False):
        pass


# Older stores ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def older(path):
    """The store in schema 1, which had no digests."""
    changed(path, "ALTER TABLE runs DROP COLUMN digest")
    changed(path, "UPDATE meta SET value = 1 WHERE name = 'schema_version'")
    return path


def test_rows_of_an_older_store_are_taken_as_they_are_and_get_a_digest(older):
    changed(older, "UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'")  # nobody can know
    condition = check(older)
    assert condition.is_whole and condition.runs == 31 and condition.undigested
    with Store(older, create=False) as store:
        assert len(store.rows()) == 30 and store.damaged == ()
    assert check(older).undigested  # reading changes nothing
    Store(older).close()
    assert check(older).is_whole and not check(older).undigested
    changed(older, "UPDATE scalars SET value = 0.5 WHERE run = 5 AND name = 'test.error'")
    assert [damage.run for damage in check(older).damages] == [5]


def test_a_run_of_an_older_store_that_cannot_be_read_is_damaged(older, caplog):
    changed(older, "UPDATE scalars SET name = x'ff' WHERE run = 5 AND name = 'test.error'")
    assert [damage.run for damage in check(older).damages] == [5]
    with Store(older) as store:
        assert len(store.rows()) == 29 and [damage.run for damage in store.damaged] == [5]


# Check, repair, backup ---------------------------------------------------------------------------------------------------


def test_check_says_what_is_damaged_and_ends_with_4(path, capsys):
    assert exit_code("store", "check", path) == 0
    assert capsys.readouterr().out == f"{path}: 31 whole rows, 0 damaged\n"
    changed(path, "UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'")
    changed(path, "UPDATE runs SET key = 'a' || char(10) || char(27) WHERE run = 9")
    assert exit_code("store", "check", path) == 4
    assert capsys.readouterr().out.splitlines() == [
        "damaged  run 5 (key 000000000000): it differs from its digest",
        "damaged  run 9 (key a\\n\\x1b): its heading differs from its digest",
        f"{path}: 29 whole rows, 2 damaged",
    ]


def test_repair_keeps_the_whole_rows_and_the_old_file(path, capsys):
    changed(path, "UPDATE scalars SET value = 0.25 WHERE run = 5 AND name = 'test.error'")
    before = path.read_bytes()
    assert exit_code("store", "repair", path) == 0
    target = path.with_name("results.repaired.sqlite")
    assert path.read_bytes() == before and f"{target}: 30 whole rows of {path}" in capsys.readouterr().out
    assert check(target).is_whole
    with Store(target, create=False) as store:
        assert [row["n"] for row in store.rows()] == [*range(4), *range(5, 30)]
    assert exit_code("store", "repair", path) == 4
    assert f"error: Store: a file that does not exist yet is required, {target} does. Name another one." in capsys.readouterr().err


def test_repair_saves_what_the_pages_still_give(path):
    content = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'curves'").fetchone()
    leaves = [start for start in range(4096 * root, len(content), 4096) if content[start] == 10 and b"test.loss" in content[start : start + 4096]]
    for start in leaves[:2]:
        content[start : start + 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"Save what is whole by `shatterlab store repair results\.sqlite`, "), Store(path, create=False) as store:
        store.rows()
    condition = check(path)
    assert not condition.is_whole and condition.pages
    saved = repair(path, path.with_name("saved.sqlite"))
    assert 0 < saved.runs < 31 and check(path.with_name("saved.sqlite")).is_whole


def test_a_backup_of_a_store_in_use_has_all_of_its_rows(path, tmp_path, capsys):
    copy = tmp_path / "copy.sqlite"
    with Store(path) as store:
        store.add(made(30))
        shutil.copy(path, tmp_path / "plain.sqlite")
        assert exit_code("store", "backup", path, copy) == 0
        store.add(made(31))
    assert check(copy).runs == 32 and sorted(file.name for file in tmp_path.iterdir()) == ["copy.sqlite", "plain.sqlite", "results.sqlite"]
    assert check(tmp_path / "plain.sqlite").runs == 31  # a copy of the file alone lacks what is in the write-ahead log
    with pytest.raises(StoreError, match="does not exist yet is required"):
        backup(path, copy)
    with pytest.raises(StoreError, match=r"^Store: a file that can be opened is required, copy\.sqlite cannot be "):
        backup(path, tmp_path / "none" / "copy.sqlite")


@pytest.mark.parametrize("command", [("check",), ("repair",), ("backup", "to.sqlite")])
def test_what_is_no_store_costs_one_line(tmp_path, command, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verb, *more = command
    assert exit_code("store", verb, tmp_path / "none.sqlite", *more) == 4
    (tmp_path / "x.sqlite").write_bytes(random.Random(0).randbytes(9000))
    assert exit_code("store", verb, tmp_path / "x.sqlite", *more) == 4
    assert all(line.startswith("error: Store: a ") for line in capsys.readouterr().err.splitlines())
    assert [file.name for file in tmp_path.iterdir()] == ["x.sqlite"]


# A file that is gone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["removed", "replaced", "moved"])
def test_a_store_that_is_gone_from_its_place_ends_the_sweep_and_loses_nothing(path, event):
    with Store(path) as store:
        store.add(made(30))
        for file in path.parent.glob("results.sqlite*"):
            file.unlink() if event != "moved" else file.rename(file.with_name(f"moved-{file.name}"))
        if event == "replaced":
            Store(path).close()
        with pytest.raises(StoreError) as problem:
            store.add(made(31))
    saved = path.with_name("results.rescued.sqlite")
    assert str(problem.value) == (
        "Store: a file that stays in its place is required, results.sqlite was removed, moved or replaced while it was in use. "
        f"Its 33 finished runs are in {saved}: give that file as --store, or move it to {path}, and run again."
    )
    with Store(saved) as store:
        assert [row["n"] for row in store.rows()] == list(range(32)) and store.damaged == ()


def test_a_store_whose_folder_is_gone_says_that_too(path):
    folder = path.parent / "inner"
    folder.mkdir()
    with Store(folder / "results.sqlite") as store:
        store.add(made(1))
        shutil.rmtree(folder)
        with pytest.raises(StoreError, match=r"while it was in use\. Its rows could not be saved to "):
            store.add(made(2))


# Errors in rows ------------------------------------------------------------------------------------------------------------


def test_the_text_of_an_error_is_bounded_and_printable():
    long = "first line\n" + "x" * 50_000 + "\x1b[2J\x00\u202e the end"
    with Store(":memory:") as store:
        store.add(Row({"key": "a", "status": "failed", "error": long, "trace": long, "measure.Margins.reason": long, "dataset.path": "x" * 20_000}))
        (row,) = store.rows()
    for name in ("error", "trace", "measure.Margins.reason"):
        text = str(row[name])
        assert len(text) <= 10_000 and text.replace("\n", "").isprintable() and "characters are left out ...]" in text
        assert text.startswith("first line\nxxx") and text.endswith("[2J the end")
    assert len(str(row["dataset.path"])) == 20_000


def test_the_identity_of_a_file_is_asked_for_once_a_row(path, monkeypatch):
    asked = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: asked.append(args) or real(*args, **kwargs))
    with Store(path) as store:
        asked.clear()
        store.add(made(40))
    assert len(asked) == 1
    assert tables.VERSION == 2
