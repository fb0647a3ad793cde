"""What all tests share: a place of their own on this machine, and a guard that fails whoever leaves something.

Nothing of the person's own settings reaches a test: the home folder is empty, temporary files go to a folder
that is short enough for Unix sockets, only the caches of programs stay from run to run. After each test (and
after the last one, for what fixtures of wider scope started) no new process, listening port or file may be
left. A process is ours when it is a descendant, carries our mark in its environment, or was started in or with
our folders: so a daemon is found too, and other programs of this machine, or another worker's, are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hypothesis
import psutil
import pytest

from tests.ports import for_services

hypothesis.settings.register_profile("loaded", deadline=None)  # how long an example takes says how busy the machine is
hypothesis.settings.load_profile("loaded")

MARK = f"BLUMEOPS_TESTS={uuid.uuid4().hex}"
"""In the environment of every process that a test starts. xdist's workers have one each."""
SETTINGS = ("ANSIBLE_", "BLUMEOPS_", "GIT_", "KUBE", "OP_", "SOPS_", "XDG_")
"""Variables by which a person's settings would reach a test."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name no test: what packs an archive puts the time into it, and workers would each know other tests."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def own_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home and a folder for temporary files, the latter returned; nothing may be left at the end."""
    pytest_folder = tmp_path_factory.getbasetemp()  # before the folder for temporary files changes
    place = Path(tempfile.mkdtemp(prefix="bo-", dir="/tmp")).resolve()
    home, temporary = place / "home", place / "t"
    for folder in (place, home, temporary):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)  # servers that refuse to be root run as nobody, and must get to their folders
    environment = _environment(home, temporary)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(SETTINGS)]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)
        try:
            with nothing_left(temporary, [place, pytest_folder]):
                yield temporary
        finally:
            shutil.rmtree(place)


def _environment(home: Path, temporary: Path) -> Mapping[str, str]:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("BLUMEOPS_TEST_CACHE") or Path(caches) / "blumeops-tests")
    mark, _, value = MARK.partition("=")
    found = {"HOME": str(home), "TMPDIR": str(temporary), "GIT_CONFIG_NOSYSTEM": "1", mark: value}
    found["BLUMEOPS_PORTS"] = for_services()
    found |= {"BLUMEOPS_TEST_CACHE": str(cache), "BLUMEOPS_CACHE": str(cache / "programs")}
    if shutil.which("go"):  # its settings and caches lie in the home folder: a build would begin from nothing
        names = ("GOENV", "GOPATH", "GOCACHE")
        asked = subprocess.run(["go", "env", *names], capture_output=True, text=True, check=True)
        found |= zip(names, asked.stdout.splitlines(), strict=True)
    return found


@pytest.fixture(autouse=True)
def guard(own_place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails a test that leaves a process, a listening port or a temporary file."""
    with nothing_left(own_place, [own_place.parent, tmp_path_factory.getbasetemp()]):
        yield


@pytest.fixture
def state(own_place: Path) -> Iterator[Path]:
    """An empty folder with a path of some 25 characters, for a site's state: removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="s", dir=own_place))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def nothing_left(temporary: Path, folders: Sequence[Path], seconds: float = 3) -> Iterator[None]:
    """Fail, and clear up, if the block leaves a process of ours, an open port of this process or a new file.

    What was told to end gets `seconds` to be gone.
    """
    processes, ports, files = set(psutil.pids()), _listening(), set(temporary.iterdir())
    yield
    left = [f"port {port}, listening" for port in sorted(_listening() - ports)]
    left += _end(_ours(set(psutil.pids()) - processes, folders), seconds)
    for path in sorted(set(temporary.iterdir()) - files):
        left.append(f"file {path}")
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


def _listening() -> set[int]:
    """The TCP ports on which this very process listens. Those of others go with the process."""
    here = psutil.Process().net_connections(kind="tcp")
    return {connection.laddr.port for connection in here if connection.status == psutil.CONN_LISTEN}


def _ours(pids: set[int], folders: Sequence[Path]) -> list[psutil.Process]:
    """Those of `pids` that a test started."""
    descendants = {process.pid for process in psutil.Process().children(recursive=True)} if pids else set()
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if _runs(process) and (pid in descendants or _mentions(process, folders)):
                found.append(process)
    return found


def _mentions(process: psutil.Process, folders: Sequence[Path]) -> bool:
    """Whether the process carries our mark, or names one of `folders` in its arguments or as its own."""
    words: list[str] = []
    for ask in (process.cmdline, lambda: [process.cwd()], lambda: [f"{k}={v}" for k, v in process.environ().items()]):
        with suppress(psutil.AccessDenied):
            words += ask()
    return MARK in words or any(str(folder) in word for word in words for folder in folders)


def _end(processes: list[psutil.Process], seconds: float) -> list[str]:
    """What is still there after `seconds`, in words; ended by us then."""
    words = []
    alive = _still_there(processes, seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            words.append(f"process {process.pid} ({' '.join(process.cmdline())[:120]})")
            process.kill()
    _still_there(alive, seconds=5)
    return words


def _still_there(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (processes := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return processes


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
