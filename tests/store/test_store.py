"""The results database: what goes in comes out, whole or not at all, and bad input costs one clear line."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shatterlab
from shatterlab.core import Row
from shatterlab.core.errors import StoreError
from shatterlab.store import connection, tables
from shatterlab.store.database import Store

CURVES = [(epoch, 391 * epoch, name, epoch / 7) for epoch in range(1, 41) for name in ("test.loss", "train.loss")]


@dataclass(frozen=True)
class Asked:
    """What the store knows of a trial."""

    key: str


def made(key="a", status="ok", minute=0, **columns):
    return Row({"key": key, "status": status, "finished": f"2026-01-01T00:{minute:02d}:00+00:00", **columns})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.sqlite"


@pytest.fixture
def store(path):
    with Store(path) as opened:
        yield opened


def planted(path, *statements):
    """A database that some program other than this one wrote."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


# What goes in comes out


def test_a_row_comes_back_with_its_columns_curves_and_arrays(store):
    columns = {"key": "a", "status": "ok", "finished": "2026-01-01T00:00:00.123456+00:00", "n": 3, "rate": 0.1, "name": "ä\u2028z", "none": None}
    arrays = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 4)), "alone": np.array(7), "names": np.array(["ü", "bc"])}
    run = store.add(Row(columns, CURVES, arrays))
    (row,) = store.rows()
    assert run == 1
    assert dict(row) == columns
    assert list(row.curves) == CURVES
    assert row.curve("test.loss")[0] == (1, 391, 1 / 7)
    assert row.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert row.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(row.arrays[name], array)
    row.arrays["weights"][0, 0] = 5  # a copy of one's own: torch would warn of an array that cannot be written


def test_curves_come_back_by_epoch_step_and_name_however_they_were_given(store):
    store.add(Row(made(), reversed(CURVES)))
    assert list(store.rows()[0].curves) == CURVES


def test_numbers_that_sql_writes_otherwise(store):
    special = {"nan": float("nan"), "inf": float("inf"), "minus": -float("inf"), "yes": True, "no": False, "big": 2**63 - 1, "small": -(2**63)}
    numpy = {"np.int": np.int64(4), "np.float": np.float32(0.5), "np.bool": np.bool_(True), "np.nan": np.float64("nan"), "np.text": np.str_("t")}
    store.add(Row({**made(), **special, **numpy}, [(1, 1, "loss", float("nan")), (2, 2, "loss", float("inf")), (3, 3, "loss", None)]))
    (row,) = store.rows()
    assert (row["nan"], row["np.nan"]) == (None, None)
    assert (row["inf"], row["minus"]) == (float("inf"), -float("inf"))
    assert (row["yes"], row["no"], row["np.bool"]) == (1, 0, 1)
    assert (row["big"], row["small"], row["np.int"], row["np.float"], row["np.text"]) == (2**63 - 1, -(2**63), 4, 0.5, "t")
    assert row.curve("loss") == [(1, 1, None), (2, 2, float("inf")), (3, 3, None)]


def test_stray_bytes_of_a_file_name_do_not_cost_the_row(store):
    store.add(made(error="no file caf\udce9.npz"))
    assert store.rows()[0]["error"] == "no file caf\\udce9.npz"


SCALARS = st.none() | st.text() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(min_size=1).filter(lambda name: name not in ("key", "status", "finished") and name.isprintable())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, SCALARS, max_size=40), st.lists(st.floats(allow_nan=False), max_size=70))
def test_any_scalars_and_curves_survive(columns, values):
    with Store(":memory:") as store:
        store.add(Row({**made(), **columns}, [(i, 10 * i, "loss", value) for i, value in enumerate(values)]))
        (row,) = store.rows()
    assert dict(row) == {**made(), **columns}
    assert row.curve("loss") == [(i, 10 * i, value) for i, value in enumerate(values)]


def test_arrays_lie_in_the_file_as_little_endian_bytes(store, path):
    store.add(Row(made(), arrays={"counts": np.array([1, 258], dtype=">u2"), "column": np.arange(4, dtype=np.int32).reshape(2, 2)[:, 1]}))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        entries = connection.execute("SELECT name, dtype, shape, data FROM arrays ORDER BY name").fetchall()
    assert entries == [("column", "<i4", "[2]", b"\x01\0\0\0\x03\0\0\0"), ("counts", "<u2", "[2]", b"\x01\0\x02\x01")]
    np.testing.assert_array_equal(store.rows()[0].arrays["counts"], [1, 258])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Row({"status": "ok"}), "Store: a row with the text column `key` is required, got None. Add rows that `run` makes."),
        (Row({"key": "a", "status": "fine"}), "Store: a status is one of ok, diverged, failed, got 'fine'."),
        (Row({**made(), "finished": "2026-01-01"}), "Store: `finished` is an ISO 8601 time with its offset, got '2026-01-01'. Leave it out for now."),
        (made(x=[1]), "Store: text, numbers, true, false or None are required, column x has list. Put arrays in Row.arrays."),
        (made(x=2**63), "Store: whole numbers of at most 64 bits are required, column x has 9223372036854775808. Write it as text."),
        (
            Row(made(), [(1, 2, "loss", 0.5), (1, 2, "loss", None)]),
            "Store: one value for each epoch, step and name is required, curve loss has two at epoch 1, step 2.",
        ),
        (
            Row(made(), arrays={"x": np.array([{}])}),
            "Store: an array of numbers, booleans or text is required, x holds object. Convert it first.",
        ),
    ],
)
def test_a_row_that_no_table_can_hold_is_refused_whole(store, row, text):
    with pytest.raises(StoreError) as problem:
        store.add(row)
    assert str(problem.value) == text
    assert store.rows() == []


def test_the_time_of_adding_is_written_in_utc_where_the_row_has_none(store):
    store.add(Row({"key": "a", "status": "ok"}))
    store.add(Row({"key": "b", "status": "ok", "finished": "2026-01-01T02:00:00+02:00"}))
    ours, given_ = (row["finished"] for row in store.rows())
    assert ours.endswith("+00:00")
    assert abs(time.time() - datetime.fromisoformat(ours).timestamp()) < 60
    assert given_ == "2026-01-01T00:00:00+00:00"


def test_nothing_here_imports_pickle():
    for file in (Path(shatterlab.__file__).parent / "store").glob("*.py"):
        tree = ast.parse(file.read_bytes())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
        assert not imported & {"pickle", "marshal", "shelve", "dill", "joblib"}


# One row a key


def test_the_newest_run_with_a_result_speaks_for_its_key(store):
    for row in (
        made("b", "failed", 1, x=1),
        made("a", "ok", 2, x=2),
        made("b", "diverged", 3, x=3),
        made("a", "ok", 4, x=4),
        made("a", "failed", 5, x=5),
        made("c", "failed", 7, x=7),
        made("c", "failed", 6, x=6),  # older, though added later, as after a merge
    ):
        store.add(row)
    assert [(row["key"], row["status"], row["x"]) for row in store.rows()] == [("b", "diverged", 3), ("a", "ok", 4), ("c", "failed", 7)]
    assert [row["key"] for row in store.rows("failed")] == ["c"]
    assert [row["key"] for row in store.rows("ok")] == ["a"]
    assert [row["key"] for row in store.rows(keys=["c", "b", "never"])] == ["b", "c"]
    assert len(store) == 3
    with pytest.raises(StoreError, match=r"^Store: a status is one of ok, diverged, failed, got 'done'\.$"):
        store.rows("done")


def test_curves_and_arrays_can_stay_where_they_are(store):
    store.add(Row(made(x=1), CURVES, {"w": np.ones(3)}))
    (row,) = store.rows(curves=False, arrays=False)
    assert (row["x"], row.curves, row.arrays) == (1, (), {})
    assert store.rows(curves=False)[0].arrays.keys() == {"w"}
    assert len(store.rows(arrays=False)[0].curves) == len(CURVES)


def test_failed_counts_as_missing_and_diverged_as_there(store):
    for row in (made("ok"), made("diverged", "diverged"), made("failed", "failed"), made("mended", "failed"), made("mended", "ok", 1)):
        store.add(row)
    trials = [Asked(key) for key in ("new", "failed", "ok", "diverged", "newer", "mended", "new", "failed")]
    assert [trial.key for trial in store.missing(trials)] == ["new", "failed", "newer"]
    assert store.missing([]) == []


def test_thousands_of_rows_take_one_query_a_table(store):
    for number in range(1500):
        store.add(made(f"{number:04d}", x=number))
    queries = []
    store._connection.set_trace_callback(queries.append)
    rows = store.rows()
    store._connection.set_trace_callback(None)
    assert [row["x"] for row in rows] == list(range(1500))
    assert len([query for query in queries if query.lstrip().startswith("SELECT")]) == 10  # headings, and three tables for 500 runs each


# Merging


def runs(store):
    return store._connection.execute("SELECT uid, key, status, finished FROM runs ORDER BY uid").fetchall()


def test_merging_copies_what_is_absent_and_twice_changes_nothing(tmp_path):
    with Store(tmp_path / "a.sqlite") as ours, Store(tmp_path / "b.sqlite") as theirs:
        ours.add(made("both", x=1))
        ours.add(made("same"))
        theirs.add(made("both", minute=1, x=2))
        theirs.add(Row(made("new", "diverged", 2), CURVES, {"w": np.eye(2)}))
        assert (ours.merge(theirs), ours.merge(tmp_path / "b.sqlite"), ours.merge(ours)) == (2, 0, 0)
        assert [(row["key"], row.get("x")) for row in ours.rows()] == [("both", 2), ("same", None), ("new", None)]
        copied = ours.rows()[2]
        assert list(copied.curves) == CURVES
        np.testing.assert_array_equal(copied.arrays["w"], np.eye(2))
        assert theirs.merge(ours) == 2
        assert runs(ours) == runs(theirs)
        assert [dict(row) for row in ours.rows(keys=["both"])] == [dict(row) for row in theirs.rows(keys=["both"])]


def test_merging_from_memory_and_from_a_missing_file(store, tmp_path):
    with Store(":memory:") as other:
        other.add(made())
        assert store.merge(other) == 1
    with pytest.raises(
        StoreError, match=r"^Store: a results database is required, nothing is at .*never\.sqlite\. Run an experiment first, or give its --store\.$"
    ):
        store.merge(tmp_path / "never.sqlite")


def test_a_merge_without_space_changes_nothing_and_names_the_store_that_is_full(store, tmp_path):
    store.add(made("first"))
    with Store(tmp_path / "other.sqlite") as other:
        for number in range(50):
            other.add(Row(made(str(number)), CURVES))
        fill(store)
        with pytest.raises(StoreError, match=r"^Store: free space is required to add to results\.sqlite, "):
            store.merge(other)
        assert [row["key"] for row in store.rows()] == ["first"]
        assert len(other) == 50


# Crashes, other processes, no space


def fill(store):
    """Leaves the database no page more than it has."""
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")


def test_no_space_costs_the_new_row_only(store):
    store.add(Row(made("first"), CURVES))
    fill(store)
    with pytest.raises(StoreError) as problem:
        store.add(Row(made("second"), CURVES, {"w": np.zeros(50_000)}))
    wanted = "Store: free space is required to add to results.sqlite, got none (database or disk is full). Free some and run again; finished rows are kept."
    assert str(problem.value) == wanted
    assert [row["key"] for row in store.rows()] == ["first"]
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.add(Row(made("second"), CURVES))
    assert [len(row.curves) for row in store.rows()] == [80, 80]


ADDS_FOR_EVER = """
import sys
import numpy as np
from shatterlab.core import Row
from shatterlab.store.database import Store
store = Store(sys.argv[1])
print("ready", flush=True)
for number in range(10**6):
    curves = [(epoch, epoch, "loss", 0.5) for epoch in range(200)]
    store.add(Row({"key": f"{sys.argv[2]}-{number}", "status": "ok", **{f"column{i}": i for i in range(100)}}, curves, {"w": np.zeros(5000)}))
"""


def test_after_a_kill_every_row_is_whole(path):
    moments = random.Random(0)
    for attempt in range(3):
        writer = subprocess.Popen([sys.executable, "-c", ADDS_FOR_EVER, path, str(attempt)], stdout=subprocess.PIPE)
        with writer:
            writer.stdout.readline()
            time.sleep(0.05 + 0.15 * moments.random())
            writer.send_signal(signal.SIGKILL)
        with Store(path, create=False) as store:
            rows = store.rows()
            assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert any(row["key"].startswith(f"{attempt}-") for row in rows)
        assert {(len(row), len(row.curves), row.arrays["w"].size) for row in rows} == {(103, 200, 5000)}


def test_an_interruption_leaves_no_transaction_open(store):
    def interrupted():
        with store._transaction() as connection:
            connection.execute("INSERT INTO runs VALUES (1, 'u', 'k', 'ok', 't', 'd')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(store) == 0
    store.add(made())


def test_several_writers_may_open_a_new_store_at_once(path):
    together, problems = threading.Barrier(4), []

    def write(name):
        try:
            together.wait()
            with Store(path) as store:
                for number in range(20):
                    store.add(made(f"{name}-{number}"))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with Store(path, create=False) as store:
        assert len(store) == 80


def test_a_store_that_another_process_holds_for_too_long(path):
    Store(path).close()
    text = "Store: results.sqlite must be free within 0.05 s, another process holds it. Wait until that ends, or use another --store."
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other, Store(path, patience=0.05) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as problem:
            store.add(made())
        assert str(problem.value) == text
        assert store.rows() == []  # readers never wait
        other.execute("ROLLBACK")
        store.add(made())


def test_a_new_store_that_another_process_holds_for_too_long(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"^Store: results\.sqlite must be free within 0\.05 s"):
            Store(path, patience=0.05)


# What is no store


def refused(path, **options):
    """The text of the refusal; the file is as it was, and nothing lies beside it."""
    before = path.read_bytes() if path.is_file() else None
    beside = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(StoreError) as problem:
        Store(path, **options)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert (sorted(path.parent.iterdir()) if path.parent.is_dir() else None) == beside
    assert "\n" not in str(problem.value)
    return str(problem.value)


@pytest.mark.parametrize("create", [True, False])
def test_random_bytes(path, create):
    path.write_bytes(random.Random(1).randbytes(5000))
    wanted = "Store: a SQLite database is required, results.sqlite is damaged (file is not a database). Restore a copy, or use another --store."
    assert refused(path, create=create) == wanted


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("kept", [50, 4096, 20_000])
def test_a_truncated_store(path, create, kept):
    with Store(path) as store:
        for number in range(10):
            store.add(Row(made(str(number)), CURVES))
    assert path.stat().st_size > 40_000
    with path.open("r+b") as file:
        file.truncate(kept)
    assert refused(path, create=create).startswith("Store: a SQLite database is required, results.sqlite is damaged (")


def test_damage_further_in_is_told_when_it_is_met(path):
    with Store(path) as store:
        for number in range(40):
            store.add(Row(made(str(number)), CURVES))
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))
    with pytest.raises(StoreError, match=r"^Store: a SQLite database is required, results\.sqlite is damaged \("), Store(path) as store:
        store.rows()


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    ("statements", "tables"),
    [
        (["CREATE TABLE songs (title)", "CREATE TABLE albums (title)"], "albums, songs"),
        (["CREATE TABLE meta (name, value)", "INSERT INTO meta VALUES ('schema_version', 1)"], "meta"),
        (["CREATE TABLE meta (id)"], "meta"),
        (["CREATE TABLE meta (name, value)", "INSERT INTO meta VALUES ('created_by', 'shatterlab 1'), ('schema_version', 'one')"], "meta"),
    ],
)
def test_a_database_of_another_program(path, statements, tables, create):
    planted(path, *statements)
    wanted = f"Store: a results database is required, results.sqlite belongs to another program (tables: {tables}). Use another --store."
    assert refused(path, create=create) == wanted


@pytest.mark.parametrize("create", [True, False])
def test_a_folder(tmp_path, create):
    wanted = f"Store: a file is required, {tmp_path.name} is a folder. Name a file in it: {tmp_path.name}/shatterlab.sqlite."
    assert refused(tmp_path, create=create) == wanted


def test_a_missing_folder(tmp_path):
    wanted = f"Store: an existing folder is required, {tmp_path / 'none'} is none. Create the folder, or use another --store."
    assert refused(tmp_path / "none" / "results.sqlite") == wanted


def test_a_device_or_a_link_to_nothing(tmp_path):
    assert refused(Path("/dev/null")) == "Store: a file is required, null is a device, a pipe or a broken link. Use another --store."
    (tmp_path / "link").symlink_to(tmp_path / "none" / "x.sqlite")
    assert refused(tmp_path / "link") == "Store: a file is required, link is a device, a pipe or a broken link. Use another --store."


def test_reading_needs_a_store_that_has_rows(path):
    wanted = f"Store: a results database is required, nothing is at {path}. Run an experiment first, or give its --store."
    assert refused(path, create=False) == wanted
    path.touch()
    wanted = "Store: a results database is required, results.sqlite is empty. Run an experiment first, or give its --store."
    assert refused(path, create=False) == wanted
    Store(path).close()  # an empty file, as a kill while creating leaves it, is made a store
    with Store(path, create=False) as store:
        assert len(store) == 0


def test_a_store_opened_for_reading_writes_nothing(path):
    with Store(path) as store:
        store.add(made(x=1))
    before = path.read_bytes()
    with Store(path, create=False) as store:
        assert store.rows()[0]["x"] == 1
        wanted = "Store: a store opened for writing is required, results.sqlite is open for reading only. Open it without create=False."
        for write in (lambda: store.add(made("b")), lambda: store.merge(path)):
            with pytest.raises(StoreError) as problem:
                write()
            assert str(problem.value) == wanted
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._connection.execute("DELETE FROM runs")
    assert path.read_bytes() == before


@pytest.fixture
def unprivileged():
    """A folder of a user without privileges, as whom the test goes on (to root nothing is read-only)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid():
            yield folder
            folder.chmod(0o755)
            return
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
            folder.chmod(0o755)


def test_what_is_read_only_is_told_and_can_still_be_read(unprivileged):
    path = unprivileged / "results.sqlite"
    with Store(path) as store:
        store.add(made(x=1))
    path.chmod(0o444)
    wanted = "Store: a file that can be written is required, results.sqlite is read-only. Change its permissions, or use another --store."
    assert refused(path) == wanted
    unprivileged.chmod(0o555)
    assert refused(path) == wanted
    with Store(path, create=False) as store:
        assert store.rows()[0]["x"] == 1
    path.chmod(0o644)
    where = f"Store: a folder that can be written is required, {unprivileged.resolve()} is read-only. Change its permissions, or use another --store."
    assert refused(path) == where
    assert refused(unprivileged / "new.sqlite") == where
    path.chmod(0o000)
    with pytest.raises(StoreError, match=r"^Store: a file that can be read is required, results\.sqlite cannot be\. Change its permissions\.$"):
        Store(path, create=False)
    unprivileged.chmod(0o000)
    with pytest.raises(StoreError) as problem:
        Store(unprivileged / "new.sqlite")
    assert str(problem.value) == where


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"^Store: results\.sqlite cannot do this \(Cannot operate on a closed database\.\)\.$"):
        store.rows()
    assert repr(store) == f"Store({str(path)!r})"


# Schemas


def with_schema(path, version):
    planted(
        path,
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        f"INSERT INTO meta VALUES ('schema_version', {version}), ('created_by', 'shatterlab 0.0.1')",
        "CREATE TABLE results (key TEXT, error REAL)",
        "INSERT INTO results VALUES ('old', 0.25)",
    )


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_schema_is_refused_untouched(path, create):
    with_schema(path, 9)
    wanted = "Store: results.sqlite has schema 9, this shatterlab reads up to 2. Upgrade shatterlab, or use another --store."
    assert refused(path, create=create) == wanted


def from_0_to_1(connection):
    for statement in tables.TABLES[1:]:
        connection.execute(statement)
    connection.execute("ALTER TABLE runs DROP COLUMN digest")  # as schema 1 was
    connection.execute("INSERT INTO runs (uid, key, status, finished) SELECT 'u' || key, key, 'ok', '2020-01-01T00:00:00+00:00' FROM results")
    connection.execute("INSERT INTO scalars SELECT run, 'test.error', error FROM results JOIN runs USING (key)")
    connection.execute("DROP TABLE results")


def test_an_older_schema_is_migrated_step_by_step(path, monkeypatch):
    steps = []
    monkeypatch.setattr(
        tables, "MIGRATIONS", {-1: lambda _: steps.append(-1), 0: lambda connection: (steps.append(0), from_0_to_1(connection)), 1: tables.add_digests}
    )
    with_schema(path, -1)
    before = path.read_bytes()
    with Store(path, create=False) as store:  # a reader migrates a copy in memory
        assert store.rows()[0]["test.error"] == 0.25
    assert path.read_bytes() == before
    with Store(path) as store:
        assert dict(store.rows()[0]) == {"key": "old", "status": "ok", "finished": "2020-01-01T00:00:00+00:00", "test.error": 0.25}
        store.add(made("new"))
        assert dict(store._connection.execute("SELECT * FROM meta")) == {"schema_version": 2, "created_by": "shatterlab 0.0.1"}
    with Store(path) as store:
        assert len(store) == 2
    assert steps == [-1, 0, -1, 0]


def test_a_migration_that_fails_leaves_the_older_store(path, monkeypatch):
    def breaks(connection):
        from_0_to_1(connection)
        connection.execute("INSERT INTO nowhere VALUES (1)")

    monkeypatch.setattr(tables, "MIGRATIONS", {0: breaks})
    with_schema(path, 0)
    with pytest.raises(StoreError, match=r"^Store: results\.sqlite cannot do this \(no such table: nowhere\)\.$"):
        Store(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone() == (0,)
        assert connection.execute("SELECT * FROM results").fetchall() == [("old", 0.25)]


def test_a_schema_without_a_step_to_the_next(path):
    with_schema(path, 0)
    with pytest.raises(StoreError) as problem:
        Store(path)
    assert str(problem.value) == "Store: results.sqlite has schema 0, this shatterlab has no step to schema 1. Use another --store."


# Where it lies


MOUNTS = """\
sysfs /sys sysfs rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb /home/local\\040disk xfs rw 0 0
them@there:/ /mnt/there fuse.sshfs rw 0 0
tmpfs /home/me/ram tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/data/x.sqlite", False),
        ("/home/me/x.sqlite", True),
        ("/homes/x.sqlite", False),
        ("/home/local disk/x.sqlite", False),
        ("/mnt/there/x.sqlite", True),
        ("/home/me/ram/x.sqlite", False),
    ],
)
def test_network_disks_are_known_by_their_mount(tmp_path, path, network):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert connection.on_network(Path(path), mounts) is network


def test_without_a_list_of_mounts_every_disk_is_local(tmp_path):
    assert connection.on_network(tmp_path, tmp_path / "none") is False


def test_the_journal_follows_the_disk(path, monkeypatch):
    def settings_of(store):
        return tuple(store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys"))

    with Store(path) as store:
        store.add(made("local"))
        assert settings_of(store) == ("wal", 1, 1)
    monkeypatch.setattr(connection, "on_network", lambda _: True)
    with Store(path) as store:  # moved to a network disk
        assert settings_of(store) == ("delete", 2, 1)
        store.add(made("network"))
        assert len(store) == 2
        assert [file.name for file in path.parent.iterdir()] == ["results.sqlite"]


def blocks(page, language):
    return [block.partition("```")[0] for block in page.read_text().split(f"```{language}\n")[1:]]


def test_the_documented_queries_run(tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "store.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
    with contextlib.closing(sqlite3.connect("results.sqlite")) as database:
        by_level, failures = [database.execute(query).fetchall() for query in blocks(page, "sql")[0].split(";")[:2]]
    assert by_level == [(0.0, 1, 0.05), (0.5, 1, 0.41), (1.0, 1, 0.9)]
    assert failures == []


def test_the_documented_tables_are_the_tables(store):
    page = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
    for (table,) in store._connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall():
        columns = ", ".join(f"`{column}`" for _, column, *_ in store._connection.execute(f"PRAGMA table_info({table})"))
        assert f"| `{table}` | {columns} |" in page.replace(" (a view)", "")
    assert f"describes schema {tables.VERSION}." in page


def test_a_trial_whose_measures_were_not_taken_is_missing(tmp_path):
    from types import SimpleNamespace

    def asked(*kinds):
        return SimpleNamespace(key="a", measures=tuple(SimpleNamespace(kind=kind) for kind in kinds))

    with Store(tmp_path / "rows.sqlite") as store:
        store.add(Row({"key": "a", "status": "ok", "measure.Margins.minimum": 0.1, "measure.Count": None, "measure.Count.reason": "no net"}))
        assert store.missing([asked()]) == []
        assert store.missing([asked("Margins", "Count")]) == []
        assert len(store.missing([asked("Margins", "PathNorm")])) == 1
        store.add(Row({"key": "a", "status": "ok"}, arrays={"measure.PathNorm.values": np.ones(2)}))
        assert len(store.missing([asked("Margins")])) == 1  # the newest run speaks for the key
        assert store.missing([asked("PathNorm")]) == []


def test_a_store_is_read_as_a_frame(tmp_path):
    pytest.importorskip("pandas")
    with Store(tmp_path / "rows.sqlite") as store:
        trial = shatterlab.Trial(shatterlab.Digits(examples=60, test_examples=30), shatterlab.TrueLabels(), shatterlab.LinearMinimumNorm())
        store.add(shatterlab.run(trial))
        frame = store.to_frame()
    assert len(frame) == 1 and frame["test.accuracy"].between(0, 1).all()
