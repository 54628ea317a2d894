"""Converters that hang, shout, cheat or damage: each is survived, named in one line, and leaves no process behind."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.convert import ConversionTimeoutError, ConversionVoidError, end_conversion, read_record, working_directory
from aprtui.convert.command import CommandConverter
from aprtui.convert.profiles.user_command import UserCommandProfile
from aprtui.core.errors import AprtuiError, FormatError
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.processes.capture import KEPT_BYTES
from aprtui.processes.run import mark_of

GOOD = FIXTURES / "qwen2-tiny/gguf/bf16.gguf"
LOSSLESS = parse_output_type("lossless")
START = "import os, shutil, signal, subprocess, sys, time\nsource, target = sys.argv[1:3]\n"
GOOD_PRODUCT = f"shutil.copyfile({str(GOOD)!r}, target)\n"
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and POSIX signals")


@pytest.fixture
def source(tmp_path):
    """A copy that a converter may ruin."""
    copy = tmp_path / "model"
    shutil.copytree(FIXTURES / "qwen2-tiny/hf", copy)
    for path in (copy, *copy.iterdir()):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    return copy


def converter(tmp_path, code, *more, time_limit=20.0, parallel_safe=False):
    script = tmp_path / "converter.py"
    script.write_text(START + code)
    arguments = (sys.executable, str(script), "{source}", "{target}", *more)
    return CommandConverter(
        UserCommandProfile("mine", arguments, None, parallel_safe=parallel_safe, time_limit=time_limit)
    )


def convert(made, source, tmp_path, target=Format.GGUF):
    destination = tmp_path / "product"
    destination.mkdir(exist_ok=True)
    return made.convert(source, target, destination, LOSSLESS)


def failure(made, source, tmp_path, kind=AprtuiError):
    with pytest.raises(kind) as error:
        convert(made, source, tmp_path)
    assert "\n" not in error.value.message and "\x1b" not in error.value.message
    assert left_over(tmp_path) == []
    return error.value.message


def left_over(tmp_path):
    """Processes whose environment names a directory of this test."""
    found = []
    mark = f"{mark_of(tmp_path).variable}={tmp_path}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def test_a_good_one(source, tmp_path):
    product = convert(converter(tmp_path, GOOD_PRODUCT), source, tmp_path)
    assert product == tmp_path / "product/model.gguf" and product.read_bytes() == GOOD.read_bytes()
    record = read_record(product.parent)
    assert record["converter"]["name"] == "mine" and record["commands"][0]["exit_code"] == 0
    assert record["commands"][0]["arguments"][2:] == [str(source), str(product)]
    left = sorted(path.name for path in working_directory(product.parent).iterdir())
    assert left == ["record.json", "stderr-1.txt", "stdout-1.txt"]


def test_a_directory_for_safetensors(source, tmp_path):
    made = converter(tmp_path, "for name in os.listdir(source): shutil.copy(os.path.join(source, name), target)\n")
    assert convert(made, source, tmp_path, Format.SAFETENSORS) == tmp_path / "product"
    assert open_model(tmp_path / "product").container.companions.keys() >= {"config.json", "tokenizer.json"}


def test_it_runs_in_a_place_of_its_own(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code = (
        "import json\n"
        'print(json.dumps([os.getcwd(), os.environ["TMPDIR"], os.environ["HOME"], sys.stdin.read(), '
        "os.getsid(0), os.getpid(), sys.argv[3]]))\n"
    )
    made = converter(tmp_path, code + GOOD_PRODUCT, "a; touch {format}-{outtype} $HOME")
    product = convert(made, source, tmp_path)
    working = working_directory(product.parent)
    cwd, temporary, home, stdin, session, process, literal = json.loads((working / "stdout-1.txt").read_text())
    assert (cwd, temporary, home) == (str(working / "run"), str(working / "tmp"), str(tmp_path / "home"))
    assert stdin == "" and session == process != os.getsid(0)
    assert literal == "a; touch gguf-lossless $HOME"
    assert not (working / "run").exists() and not (working / "tmp").exists()


def test_one_that_hangs_is_ended(source, tmp_path):
    begun = time.monotonic()
    made = converter(tmp_path, 'print("working", flush=True)\ntime.sleep(60)\n', time_limit=1)
    message = failure(made, source, tmp_path, ConversionTimeoutError)
    assert message == "mine was ended at its time limit of 1 s; its last line: working"
    assert time.monotonic() - begun < 5
    record = read_record(tmp_path / "product")
    assert record["commands"][0]["timed_out"] and record["commands"][0]["exit_code"] == -signal.SIGTERM


def test_one_that_ignores_sigterm_is_killed_with_its_children(source, tmp_path):
    begun = time.monotonic()
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)\n"
    )
    failure(converter(tmp_path, code, time_limit=1), source, tmp_path, ConversionTimeoutError)
    assert time.monotonic() - begun < 8
    assert read_record(tmp_path / "product")["commands"][0]["exit_code"] == -signal.SIGKILL


def test_a_gigabyte_of_output_is_counted_and_its_ends_are_kept(source, tmp_path):
    code = (
        'os.write(1, b"first line\\n")\n'
        'piece = b"x" * 1023 + b"\\n"\n'
        "for _ in range(1024): os.write(1, piece * 1024)\n"
        'os.write(1, b"last line\\n")\n'
    )
    product = convert(converter(tmp_path, code + GOOD_PRODUCT), source, tmp_path)
    (command,) = read_record(product.parent)["commands"]
    assert command["stdout_bytes"] == (1 << 30) + len("first line\nlast line\n")
    assert command["last_lines"][-1] == "last line"
    kept = (working_directory(product.parent) / "stdout-1.txt").read_bytes()
    assert kept.startswith(b"first line\n") and kept.endswith(b"last line\n")
    assert 2 * KEPT_BYTES < len(kept) < 2 * KEPT_BYTES + 100
    assert f"[{command['stdout_bytes'] - 2 * KEPT_BYTES} bytes left out]".encode() in kept


@NEEDS_PROC
@pytest.mark.parametrize("session", [False, True])
def test_children_are_not_left_over(source, tmp_path, session):
    begun = time.monotonic()
    child = f"subprocess.Popen(['sleep', '60'], start_new_session={session})\n"
    product = convert(converter(tmp_path, child + GOOD_PRODUCT), source, tmp_path)
    assert product.is_file() and left_over(tmp_path) == []
    assert time.monotonic() - begun < 5


def test_half_a_file_is_opened_by_nobody(source, tmp_path):
    half = f"open(target, 'wb').write(open({str(GOOD)!r}, 'rb').read()[:1000])\n"
    product = convert(converter(tmp_path, half), source, tmp_path)
    with pytest.raises(FormatError):
        open_model(product)
    message = failure(converter(tmp_path, half + "sys.exit('no space left')\n"), source, tmp_path)
    assert message == "mine ended with exit code 1: no space left"


def test_exit_code_0_without_a_product(source, tmp_path):
    message = failure(converter(tmp_path, ""), source, tmp_path)
    assert message == f"{tmp_path}/product/model.gguf: mine ended with exit code 0 without a product"


def test_a_product_elsewhere(source, tmp_path):
    message = failure(converter(tmp_path, 'open("model.gguf", "w").write("x")\n'), source, tmp_path)
    assert message.endswith("without a product; it left in its working directory: model.gguf")


def test_a_link_is_no_product(source, tmp_path):
    message = failure(converter(tmp_path, f"os.symlink({str(GOOD)!r}, target)\n"), source, tmp_path)
    assert message.endswith("mine wrote a link instead of a product")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize(
    ("code", "verb"), [('os.remove(os.path.join(source, "{}"))', "deleted"), ("{}", "changed")], ids=["delete", "write"]
)
def test_a_source_that_was_damaged_voids_the_result(source, tmp_path, name, code, verb):
    if verb == "changed":
        code = "file = open(os.path.join(source, '{}'), 'r+b'); file.seek(-1, 2); file.write(b' '); file.close()"
    made = converter(tmp_path, GOOD_PRODUCT + code.format(name) + "\n")
    message = failure(made, source, tmp_path, ConversionVoidError)
    assert message == f"{source / name}: the source was {verb} during its conversion"


def test_a_converter_that_changes_itself_voids_the_result(source, tmp_path):
    made = converter(tmp_path, GOOD_PRODUCT + 'open(__file__, "a").write("# new\\n")\n')
    before = made.identity
    message = failure(made, source, tmp_path, ConversionVoidError)
    assert "the converter mine changed while it ran" in message
    assert before.digest in message and made.identity.digest in message and before.digest != made.identity.digest


def test_a_converter_that_goes_away_voids_the_result(source, tmp_path):
    made = converter(tmp_path, GOOD_PRODUCT + "os.remove(__file__)\n")
    message = failure(made, source, tmp_path, ConversionVoidError)
    assert "the converter mine is no longer what it was" in message


def test_a_signal_is_named(source, tmp_path):
    message = failure(converter(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)\n"), source, tmp_path)
    assert message == "mine was ended by SIGSEGV"


def test_the_line_that_tells_why_is_shown_fit_for_a_terminal(source, tmp_path):
    code = 'sys.stderr.write("\\x1b[31mError: bad\\x1b[0m \\x07name\\nusage: x\\n\\n"); sys.exit(9)\n'
    message = failure(converter(tmp_path, code), source, tmp_path)
    assert message == "mine ended with exit code 9: Error: bad \\x07name"


def test_a_program_that_cannot_start(source, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01 no program")
    program.chmod(0o755)
    profile = UserCommandProfile("mine", (str(program),), None, parallel_safe=False, time_limit=5)
    message = failure(CommandConverter(profile), source, tmp_path)
    assert message == f"{program}: this program cannot be started: Exec format error"


def test_a_source_that_is_no_model(tmp_path):
    made = converter(tmp_path, GOOD_PRODUCT)
    source = tmp_path / "model.gguf"
    source.write_bytes(bytes(4096))
    assert made.not_offered(source, Format.APR, LOSSLESS) is None
    assert made.command(source, Format.APR, tmp_path / "product", LOSSLESS).startswith("# no command: ")
    with pytest.raises(FormatError):
        convert(made, source, tmp_path, Format.APR)


@NEEDS_PROC
def test_an_interruption_ends_it(source, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            convert(converter(tmp_path, "time.sleep(60)\n"), source, tmp_path)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert left_over(tmp_path) == []


def caller_of_a_hanging_converter(source, tmp_path):
    """A process that waits for a converter, which has started."""
    script = tmp_path / "converter.py"
    script.write_text('import time\nopen("started", "w").close()\ntime.sleep(60)\n')
    destination = tmp_path / "product"
    destination.mkdir()
    started = working_directory(destination) / "run/started"
    calls = [
        "import sys",
        "from pathlib import Path",
        "from aprtui.convert.command import CommandConverter",
        "from aprtui.convert.profiles.user_command import UserCommandProfile",
        "from aprtui.formats.container import Format",
        "from aprtui.formats.output_types import parse_output_type",
        "script, source, destination = sys.argv[1:]",
        "arguments = (sys.executable, script)",
        "profile = UserCommandProfile('mine', arguments, None, parallel_safe=False, time_limit=60)",
        "lossless = parse_output_type('lossless')",
        "CommandConverter(profile).convert(Path(source), Format.GGUF, Path(destination), lossless)",
    ]
    caller = subprocess.Popen([sys.executable, "-c", "\n".join(calls), script, source, destination])
    deadline = time.monotonic() + 20
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert started.exists()
    return caller


@NEEDS_PROC
def test_what_a_killed_caller_left_can_be_ended(source, tmp_path):
    caller = caller_of_a_hanging_converter(source, tmp_path)
    caller.kill()
    caller.wait()
    assert len(left_over(tmp_path)) == 1
    end_conversion(tmp_path / "product")
    assert left_over(tmp_path) == []


@NEEDS_PROC
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_caller_that_is_asked_to_end_takes_the_converter_along(source, tmp_path, number):
    caller = caller_of_a_hanging_converter(source, tmp_path)
    caller.send_signal(number)
    code = caller.wait(10)
    assert code == (-number if number == signal.SIGINT else 128 + number)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("parallel_safe", [False, True])
def test_those_that_are_not_safe_in_parallel_run_one_at_a_time(source, tmp_path, parallel_safe):
    seconds = 30 if parallel_safe else 0.7
    code = (
        "present = os.path.join(os.path.dirname(__file__), 'present')\n"
        "os.makedirs(present, exist_ok=True)\n"
        "mine = os.path.join(present, str(os.getpid()))\n"
        "open(mine, 'w').close()\n"
        f"end, met = time.monotonic() + {seconds}, False\n"
        "while time.monotonic() < end and not met:\n"
        "    met = len(os.listdir(present)) > 1\n"
        "    time.sleep(0.01)\n"
        "time.sleep(0.5)\n"  # so that the other meets it, too
        "os.remove(mine)\n"
        f"{GOOD_PRODUCT}sys.exit('met another one' if met else 0)\n"
    )
    made = converter(tmp_path, code, parallel_safe=parallel_safe)
    failures = []

    def one(name):
        (tmp_path / name).mkdir()
        try:
            made.convert(source, Format.GGUF, tmp_path / name, LOSSLESS)
        except AprtuiError as error:
            failures.append(error.message)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == (["mine ended with exit code 1: met another one"] * 2 if parallel_safe else [])
