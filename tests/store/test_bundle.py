"""Bundles: a run as one file and back, and archives that are not what they seem."""

import gzip
import io
import json
import socket
import tarfile
from dataclasses import replace

import pytest
from fixture_files import extract
from runs_by_hand import FAILS, HOLDS, comparison, gate, tensor, write_run

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.engine.journal_writer import JournalWriter
from aprtui.store import bundle
from aprtui.store.bundle import BundleFacts, open_bundle, write_bundle
from aprtui.store.process import this_process
from aprtui.store.register import find_run, register, registered_runs
from aprtui.store.run_comparison import compare_runs
from aprtui.store.run_folder import RunState
from aprtui.store.summary import read_record, state_of

RUN = "20260102-030405-a1b2"
EVENTS = [*comparison(tensor("x", 1.0)), gate("F-CONV-S-G", FAILS, "one differs")]


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / RUN, EVENTS)
    folder.evidence.write_text("[]")
    folder.junit.write_text("<testsuites/>")
    folder.stderr.write_text("converting\n")
    (folder.path / "products").mkdir()
    (folder.path / "products" / "model.gguf").write_bytes(b"weights")
    return folder


def record_of(folder):
    return read_record(folder.reader().new_lines())


def test_there_and_back(run, tmp_path):
    path = tmp_path / "b.tar.gz"
    assert write_bundle(run, path) == path.stat().st_size
    opened = find_run(str(path))
    names = {"plan.json", "journal.jsonl", "evidence.json", "junit.xml", "stderr.log", "bundle.json"}
    assert {file.name for file in opened.path.iterdir()} == names
    for name in names - {"bundle.json"}:
        assert (opened.path / name).read_bytes() == (run.path / name).read_bytes()
    assert opened.plan() == run.plan() and opened.path.name == RUN
    assert record_of(opened).verdicts() == record_of(run).verdicts() != {}
    assert state_of(opened, record_of(opened)) is RunState.FINISHED
    assert compare_runs(run, opened).tensors == ()
    facts = BundleFacts.of(opened)
    assert facts.host == socket.gethostname() and facts.left_out == ("products", "pid.json")


def test_other_programs_can_unpack_it(run, tmp_path):
    write_bundle(run, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        extract(archive, tmp_path / "by_hand")
    folder = find_run(str(tmp_path / "by_hand" / RUN))
    assert folder.is_bundle and record_of(folder).verdicts() == record_of(run).verdicts()


def test_nothing_is_said_of_who_made_it(run, tmp_path):
    write_bundle(run, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        members = archive.getmembers()
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime, one.mode) for one in members} == {
        (0, 0, "", "", 0, 0o644)
    }
    assert this_process().boot_id not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes()).decode()


def test_a_run_that_goes_on_ends_with_a_whole_line(tmp_path):
    folder = write_run(tmp_path / RUN, EVENTS, ended=False)
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole + b'{"v":2,"torn')
    write_bundle(folder, tmp_path / "b.tar.gz")
    opened = open_bundle(tmp_path / "b.tar.gz")
    assert opened.journal.read_bytes() == whole
    assert state_of(folder, record_of(folder)) is RunState.RUNNING
    assert state_of(opened, record_of(opened)) is RunState.BUNDLED


def test_of_stderr_the_end_is_taken(run, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "STDERR_TAIL", 10)
    run.stderr.write_text("a" * 100 + "0123456789")
    write_bundle(run, tmp_path / "b.tar.gz")
    opened = open_bundle(tmp_path / "b.tar.gz")
    assert opened.stderr.read_text() == "0123456789"
    assert "the first 100 bytes of stderr.log" in BundleFacts.of(opened).left_out


def test_a_bundle_of_a_bundle(run, tmp_path):
    write_bundle(run, tmp_path / "b.tar.gz")
    write_bundle(open_bundle(tmp_path / "b.tar.gz"), tmp_path / "c.tar.gz")
    assert record_of(open_bundle(tmp_path / "c.tar.gz")).verdicts() == record_of(run).verdicts()


def test_no_engine_works_on_a_bundle_and_none_is_registered(run, tmp_path):
    write_bundle(run, tmp_path / "b.tar.gz")
    opened = open_bundle(tmp_path / "b.tar.gz")
    with pytest.raises(UsageError, match="a bundle can only be read"):
        JournalWriter(opened)
    register(opened)
    assert registered_runs() == []


def test_what_cannot_be_bundled(run, tmp_path, monkeypatch):
    with pytest.raises(AprtuiError, match="the bundle cannot be written"):
        write_bundle(run, tmp_path / "nowhere" / "b.tar.gz")
    with pytest.raises(AprtuiError, match="not named as runs are"):
        write_bundle(write_run(tmp_path / "a run", []), tmp_path / "b.tar.gz")
    monkeypatch.setattr(bundle, "LARGEST", 100)
    with pytest.raises(AprtuiError, match="the run has more than"):
        write_bundle(run, tmp_path / "b.tar.gz")
    (run.path / "plan.json").unlink()
    with pytest.raises(AprtuiError, match="no run"):
        write_bundle(run, tmp_path / "b.tar.gz")
    assert not list(tmp_path.glob("*.tar.gz")) + list(tmp_path.glob("*.part"))


def files(run):
    """The members of an honest bundle of a run."""
    facts = {"version": 1, "made": "2026", "host": "h", "aprtui_version": "0", "left_out": []}
    names = ("plan.json", "journal.jsonl")
    return {"bundle.json": json.dumps(facts).encode()} | {name: (run.path / name).read_bytes() for name in names}


def packed(path, members, form=tarfile.USTAR_FORMAT):
    """An archive of (TarInfo, bytes) or of (name, bytes)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for head, content in members:
            info = head if isinstance(head, tarfile.TarInfo) else tarfile.TarInfo(head)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(raw.getvalue()))
    return path


def of_kind(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def honest(run):
    return [(f"{RUN}/{name}", content) for name, content in files(run).items()]


def test_an_archive_made_by_hand_is_a_bundle_if_it_holds_the_same(honest, tmp_path):
    assert open_bundle(packed(tmp_path / "b.tar.gz", honest)).plan().run_id == RUN


@pytest.mark.parametrize(
    "extra",
    [
        ("../escaped", b"x"),
        (f"{RUN}/../../escaped", b"x"),
        ("/tmp/escaped", b"x"),
        (f"{RUN}/pid.json", b"{}"),
        (f"{RUN}/products/model.gguf", b"x"),
        (f"{RUN}/plan.json", b"{}"),
        (f"{RUN}/plan.json/", b""),
        ("other/stderr.log", b""),
        ("../stderr.log", b""),
        (".hidden/stderr.log", b""),
        ("a b/stderr.log", b""),
        (of_kind(f"{RUN}/stderr.log", tarfile.SYMTYPE, "../../secret"), b""),
        (of_kind(f"{RUN}/stderr.log", tarfile.LNKTYPE, f"{RUN}/plan.json"), b""),
        (of_kind(f"{RUN}/stderr.log", tarfile.DIRTYPE), b""),
        (of_kind(f"{RUN}/stderr.log", tarfile.FIFOTYPE), b""),
        (of_kind(f"{RUN}/stderr.log", tarfile.CHRTYPE), b""),
    ],
)
def test_what_no_bundle_holds_is_refused(honest, extra, tmp_path):
    path = packed(tmp_path / "b.tar.gz", [*honest, extra])
    with pytest.raises(UsageError, match=r"no bundle of a run: it holds .*; make one with `aprtui bundle RUN`"):
        open_bundle(path)
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extended_headers_are_refused(honest, form, tmp_path):
    path = packed(tmp_path / "b.tar.gz", [*honest, (f"{RUN}/" + 300 * "n", b"")], form)
    with pytest.raises(UsageError, match="no bundle of a run: it holds"):
        open_bundle(path)


def test_a_member_that_says_it_is_huge(honest, tmp_path):
    info = tarfile.TarInfo(f"{RUN}/stderr.log")
    info.size = 5 << 30
    raw = gzip.decompress(packed(tmp_path / "b.tar.gz", honest).read_bytes()).rstrip(b"\0")
    raw += bytes(-len(raw) % 512) + info.tobuf(tarfile.USTAR_FORMAT)
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(UsageError, match="its files have more than 4 GiB"):
        open_bundle(tmp_path / "b.tar.gz")
    negative = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    negative[124:136] = b"\xff" * 12
    negative[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(negative))[0]
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(raw[: -len(info.tobuf(tarfile.USTAR_FORMAT))] + negative))
    with pytest.raises(UsageError, match="no bundle of a run"):
        open_bundle(tmp_path / "b.tar.gz")


def test_files_together_are_limited(honest, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST", 3000)
    path = packed(tmp_path / "b.tar.gz", [*honest, (f"{RUN}/stderr.log", b"x" * 3000)])
    with pytest.raises(UsageError, match="its files have more than"):
        open_bundle(path)


@pytest.mark.parametrize("lacking", ["bundle.json", "plan.json", "journal.jsonl"])
def test_what_a_bundle_needs(honest, lacking, tmp_path):
    path = packed(tmp_path / "b.tar.gz", [one for one in honest if not one[0].endswith(lacking)])
    with pytest.raises(UsageError, match=f"it has no {lacking}"):
        open_bundle(path)


def test_damaged_archives(honest, tmp_path):
    path = packed(tmp_path / "b.tar.gz", honest)
    raw = path.read_bytes()
    for number, damaged in enumerate(
        [
            raw[: len(raw) // 2],
            raw[:-4] + b"abcd",
            raw[:12],
            b"\x1f\x8b" + b"garbage" * 9,
            gzip.compress(b"no archive"),
            gzip.compress(b"\xff" * 512),
            gzip.compress(gzip.decompress(raw)[:700]),
            gzip.compress(gzip.decompress(raw) + b"more"),
            raw + gzip.compress(bytes(2 << 20)),
        ]
    ):
        (tmp_path / f"{number}.tar.gz").write_bytes(damaged)
        with pytest.raises(UsageError, match="no bundle of a run"):
            open_bundle(tmp_path / f"{number}.tar.gz")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (b"{}", "cannot be understood"),
        (b"[" * 100_000, "cannot be understood"),
        (b'{"version": 2, "made": "", "host": "", "aprtui_version": "", "left_out": []}', "version 2 of bundles"),
    ],
)
def test_what_a_bundle_says_of_itself(honest, facts, message, tmp_path):
    path = packed(tmp_path / "b.tar.gz", [(f"{RUN}/bundle.json", facts), *honest[1:]])
    with pytest.raises(AprtuiError, match=message):
        open_bundle(path)


def test_other_files_are_no_bundles(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"PK")
    for name in ("x.tar.gz", "missing.tar.gz", "."):
        with pytest.raises(UsageError, match="there is no run"):
            find_run(str(tmp_path / name))


def test_unfinished_on_the_same_machine_is_not_taken_for_a_dead_engine(tmp_path):
    engine = replace(this_process(), started="0")
    folder = write_run(tmp_path / RUN, [gate("F-CONV-S-G", HOLDS)], engine=engine, ended=False)
    write_bundle(folder, tmp_path / "b.tar.gz")
    opened = open_bundle(tmp_path / "b.tar.gz")
    assert state_of(folder, record_of(folder)) is RunState.DIED
    assert state_of(opened, record_of(opened)) is RunState.BUNDLED
