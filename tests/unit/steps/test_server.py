"""The process that steps start from: they must not notice it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from shallower.steps import client, server

PREFIX = f'export PATH="{Path(sys.executable).parent}:$PATH"; '
SECONDS = 60


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that has imported numpy."""
    yield started(["numpy"])


def started(packages: list[str]) -> str:
    found = server.start_server(PREFIX, packages)
    assert found
    until(Path(found).exists)
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hear(ignored: tuple[int, ...] = ()) -> None:
    """For a new process: hear signals, whatever the tests are deaf to, but for some."""
    for number in client.SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


def begin(address: str, folder: Path, body: str, *arguments: str, **settings) -> "subprocess.Popen[str]":
    script = folder / "scripts" / "step.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(body, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-ISE", client.__file__, address, "scripts/step.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"cwd": folder, "preexec_fn": hear} | settings,
    )


def result(step: "subprocess.Popen[str]") -> tuple[int, str, str]:
    printed, errors = step.communicate(timeout=SECONDS)
    return step.returncode, printed, errors


def test_a_step_has_its_arguments_folder_environment_and_modules(address, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    (library / "ours.py").write_text("NAME = 'from the library'\n")
    body = (
        "import os, sys, ours, beside\n"
        "print(__name__, sys.argv, os.getcwd(), os.environ['MARK'], 'HOME' in os.environ, ours.NAME, beside.NAME)\n"
        "print('numpy' in sys.modules, file=sys.stderr)\n"
    )
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "beside.py").write_text("NAME = 'from its folder'\n")
    step = begin(address, tmp_path, body, "a b", "é", env={"MARK": "ü", "PYTHONPATH": str(library)})
    expected = f"__main__ ['scripts/step.py', 'a b', 'é'] {tmp_path} ü False from the library from its folder\n"
    assert result(step) == (0, expected, "True\n")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('no such file')", 1, "no such file"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import os; os._exit(3)", 3, ""),
        ("import atexit; atexit.register(print, 'the last')", 0, ""),
    ],
)
def test_a_step_ends_as_it_would_by_itself(address, tmp_path, body, status, error):
    by_server = result(begin(address, tmp_path, body))
    by_itself = subprocess.run(
        [sys.executable, "scripts/step.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (by_server[0], by_server[1]) == (by_itself.returncode, by_itself.stdout) == (status, by_itself.stdout)
    assert error in by_server[2] and error in by_itself.stderr
    assert bool(by_server[2]) == bool(error)


NOTES_SIGNALS = """
import os, pathlib, signal, time
def note(number, frame):
    pathlib.Path("noted").write_text(signal.Signals(number).name)
    raise SystemExit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, note)
pathlib.Path("process").write_text(str(os.getpid()))
for _ in range(600):  # a signal just before one long sleep would be heard only after it
    time.sleep(0.1)
"""


@pytest.mark.parametrize("number", client.SIGNALS)
def test_a_signal_reaches_the_step(address, tmp_path, number):
    step = begin(address, tmp_path, NOTES_SIGNALS)
    until((tmp_path / "process").exists)
    step.send_signal(number)
    assert result(step)[0] == 128 + number
    assert (tmp_path / "noted").read_text() == signal.Signals(number).name


def test_a_client_that_has_a_signal_only_after_its_step_has_ended_by_it(address, tmp_path):
    """As when all processes get it at the same time."""
    step = begin(address, tmp_path, "import os, time; open('process', 'w').write(str(os.getpid())); time.sleep(60)")
    process = process_of(tmp_path)
    step.send_signal(signal.SIGSTOP)
    os.kill(process, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{process}").exists())
    step.send_signal(signal.SIGTERM)
    step.send_signal(signal.SIGCONT)
    assert result(step) == (-signal.SIGTERM, "", "")


def test_a_signal_that_a_step_was_started_to_ignore_is_ignored(address, tmp_path):
    body = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, signal.getsignal(signal.SIGINT))"
    printed = result(begin(address, tmp_path, body, preexec_fn=partial(hear, (signal.SIGHUP,))))[1]
    assert printed.startswith("True") and "default_int_handler" in printed


def process_of(folder: Path) -> int:
    until(lambda: (folder / "process").exists() and (folder / "process").read_text())
    return int((folder / "process").read_text())


def has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_step_ends_when_its_client_is_killed(address, tmp_path):
    step = begin(address, tmp_path, NOTES_SIGNALS)
    process = process_of(tmp_path)
    step.kill()
    until(lambda: has_ended(process))
    # The server goes on.
    assert result(begin(address, tmp_path, "print(1)"))[:2] == (0, "1\n")


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_server_that_nobody_needs_any_more_ends_after_its_steps(tmp_path, is_killed):
    code = (
        "import sys\nfrom pathlib import Path\nfrom shallower.steps.server import start_server\n"
        "print(start_server(sys.argv[1], []), flush=True)\nsys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, PREFIX],
        env=os.environ | {"PYTHONPATH": str(Path(server.__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdin and owner.stdout
    address = owner.stdout.readline().strip()
    until(Path(address).exists)
    step = begin(address, tmp_path, "import time; open('process', 'w').write('1'); time.sleep(1); print('whole')")
    process_of(tmp_path)
    if is_killed:
        owner.kill()
    else:
        owner.stdin.close()
    assert result(step)[:2] == (0, "whole\n")
    until(lambda: not Path(address).parent.exists())
    owner.wait(timeout=SECONDS)
    owner.stdout.close()


@pytest.mark.parametrize("ending", ["", "import os, signal; os.kill(int(sys.stdin.readline()), signal.SIGKILL)"])
def test_nothing_is_left_of_a_server(ending, tmp_path):
    """Of one that is not needed before it answers, and of one that was killed."""
    slow = "" if ending else "exec sleep 60; "
    code = (
        "import sys\nfrom shallower.steps.server import start_server\n"
        f"print(start_server(sys.argv[1] + '{slow}', []), flush=True)\n{ending}"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, PREFIX],
        env=os.environ | {"PYTHONPATH": str(Path(server.__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdin and owner.stdout
    address = Path(owner.stdout.readline().strip())
    if ending:
        until(address.exists)
        step = begin(str(address), tmp_path, "import os; print(os.getppid())")
        owner.stdin.write(result(step)[1])
        owner.stdin.flush()
    owner.communicate(timeout=SECONDS / 2)
    assert not address.parent.exists()


def test_a_step_of_a_server_that_is_killed_ends_too(tmp_path):
    address = started([])
    step = begin(address, tmp_path, "import os\nprint(os.getppid(), flush=True)\n" + NOTES_SIGNALS)
    process = process_of(tmp_path)
    os.kill(int(step.stdout.readline()), signal.SIGKILL)
    status, _, error = result(step)
    assert (status, error) == (1, "error: the process that starts steps has ended; run again\n")
    until(lambda: has_ended(process))


@pytest.mark.parametrize(
    ("missing", "place"),
    [("fork", "os"), ("pidfd_open", "os"), ("_watch", "Server")],
)
def test_steps_start_by_themselves_while_the_server_can_start_none(tmp_path, missing, place):
    """As where a user has as many processes, or watched files, as are allowed. What runs already goes on."""
    packages = tmp_path / "packages"
    packages.mkdir()
    switch = tmp_path / "switch"
    (packages / "broken.py").write_text(
        "import os, pathlib, socket\n"
        "from __main__ import Server\n"
        f"whole = {place}.{missing}\n"
        "def limited(*arguments):\n"
        # A connection cannot be watched, after its process can.
        "    is_process = any(isinstance(each, int) for each in arguments[1:])\n"
        f"    if pathlib.Path({str(switch)!r}).exists() and not is_process:\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return whole(*arguments)\n"
        f"{place}.{missing} = limited\n"
    )
    # The server's own folder is on its path, that of PYTHONPATH is for steps alone.
    server_file = tmp_path / "server.py"
    server_file.write_text(f"import sys; sys.path.insert(1, {str(packages)!r})\n" + Path(server.__file__).read_text())
    address = str(tmp_path / "steps")
    process = subprocess.Popen([sys.executable, server_file, address, "broken"], stdin=subprocess.PIPE)
    until(Path(address).exists)
    running = begin(address, tmp_path, NOTES_SIGNALS)
    process_of(tmp_path)
    switch.touch()
    body = "import os, sys; print(os.getppid(), 'broken' in sys.modules)"
    assert result(begin(address, tmp_path, body)) == (0, f"{os.getpid()} False\n", "")
    switch.unlink()
    assert result(begin(address, tmp_path, body)) == (0, f"{process.pid} True\n", "")
    running.send_signal(signal.SIGTERM)
    assert result(running)[0] == 128 + signal.SIGTERM
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def test_a_server_that_cannot_watch_processes_ends_at_once(tmp_path):
    """As with a Python that was built for an older system."""
    address = tmp_path / "steps"
    code = f"import os, sys; del os.pidfd_open; sys.path[0] = {str(Path(server.__file__).parent)!r}; import server\n"
    code += f"server.main({str(address)!r}, [])"
    subprocess.run([sys.executable, "-c", code], timeout=SECONDS, check=True)
    assert not address.exists()


def test_the_server_outlives_a_signal_to_all_processes_until_its_steps_have_ended(tmp_path):
    address = started([])
    step = begin(address, tmp_path, "import os\nprint(os.getppid(), flush=True)\n" + NOTES_SIGNALS)
    process_of(tmp_path)
    server_process = int(step.stdout.readline())
    for number in client.SIGNALS:
        os.kill(server_process, number)
    assert result(begin(address, tmp_path, "import os; print(os.getppid())"))[1] == f"{server_process}\n"
    step.send_signal(signal.SIGTERM)
    assert result(step)[0] == 128 + signal.SIGTERM


def test_without_a_server_a_step_starts_by_itself(tmp_path):
    step = begin(str(tmp_path / "none"), tmp_path, "import sys; print(sys.argv, 'numpy' in sys.modules)", "a")
    assert result(step) == (0, "['scripts/step.py', 'a'] False\n", "")


def test_a_step_computes_with_its_own_number_of_threads(address, tmp_path):
    body = "from threadpoolctl import threadpool_info\nprint([pool['num_threads'] for pool in threadpool_info()])"
    for threads in (1, 2):
        step = begin(address, tmp_path, body, env={"OMP_NUM_THREADS": str(threads), "HOME": str(tmp_path)})
        assert set(eval(result(step)[1])) == {threads}


def test_only_the_same_user_can_ask(address):
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700


def test_there_is_no_server_where_the_name_of_its_socket_would_be_too_long(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert server.start_server(PREFIX) is None
    assert list(deep.iterdir()) == []
