"""Real Podman with a storage of its own, and images that are built from nothing but a static BusyBox."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.programs import Programs, runtime
from blumeops.engines.local.programs.found import Missing
from blumeops.render.local_unit import Container, Health, LocalUnit, Port, Route, SecretPart, Source
from tests.engines.local.conftest import engine_for, processes_below, programs_cache, until

NAME = "localhost/blumeops-test/web"
APPLETS = (
    "sh",
    "httpd",
    "cat",
    "cp",
    "mkdir",
    "sleep",
    "head",
    "tail",
    "id",
    "nc",
    "ls",
    "stat",
    "kill",
    "touch",
    "env",
    "chown",
    "ln",
)
USERS = "root:x:0:0::/:/bin/sh\nweb:x:1234:4321::/:/bin/sh\n"
SERVE = """\
trap 'echo ended; echo ended >> /data/ends 2>/dev/null; exit 0' TERM
mkdir -p /tmp/www/cgi-bin && cp /run.cgi /tmp/www/cgi-bin/run && echo "$VERSION" > /tmp/www/index.html
[ -z "$BROKEN" ] || { echo "broken: $PASSWORD"; exit 3; }
echo "started as $(id -u)" "$@"
httpd -f -p 8080 -h /tmp/www &
wait
"""
RUN = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\neval "$(httpd -d "$QUERY_STRING")" 2>&1\n'
FILE = """\
FROM scratch
COPY . /
ENV PATH=/bin
ENTRYPOINT ["/bin/sh", "/serve"]
"""
VARIANTS = {
    "1": "ENV VERSION=one\nUSER web",
    "2": "ENV VERSION=two\nUSER 1234:4321",
    "bad": "ENV VERSION=bad BROKEN=1\nUSER web",
    "root": "ENV VERSION=root",
}
"""By tag, what is beside in the image's description: by name and by number the same user."""


def podman(*words: str, check: bool = True) -> str:
    """One command of Podman's, and what it printed."""
    tool = runtime.find()
    assert isinstance(tool, runtime.Runtime)
    done = subprocess.run([*tool.words, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def storage(own_place: Path) -> Iterator[Path]:
    """A storage of Podman for these tests alone."""
    folder = Path(tempfile.mkdtemp(prefix="bc-", dir="/tmp"))
    folder.chmod(0o711)
    conf = folder / "storage.conf"
    conf.write_text(f'[storage]\ndriver="overlay"\ngraphroot="{folder}/g"\nrunroot="{folder}/r"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(conf))
        found = runtime.find()
        if isinstance(found, Missing) or found.dialect != "podman" or os.geteuid() != 0:
            shutil.rmtree(folder)
            pytest.skip(f"needs Podman as root: {found.reason if isinstance(found, Missing) else found.dialect}")
        try:
            yield folder
        finally:
            podman("rm", "--all", "--force", check=False)
            podman("rmi", "--all", "--force", check=False)
            subprocess.run(["umount", f"{folder}/g/overlay"], check=False, capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def images(storage: Path) -> None:
    """The images of VARIANTS."""
    source = Source(kind="deb", name="busybox-static", version="1.35.0", bin="bin")
    busybox = Programs(programs_cache()).obtain([source], "1.35.0", print).binary("busybox")
    with tempfile.TemporaryDirectory(dir=storage) as scratch:
        context = Path(scratch)
        for folder in ("bin", "etc", "tmp", "data"):
            (context / folder).mkdir()
        (context / "tmp").chmod(0o1777)
        shutil.copy(busybox, context / "bin/busybox")
        for applet in APPLETS:
            (context / "bin" / applet).symlink_to("busybox")
        (context / "etc/passwd").write_text(USERS)
        (context / "etc/group").write_text("root:x:0:\nweb:x:4321:\n")
        (context / "serve").write_text(SERVE)
        (context / "run.cgi").write_text(RUN)
        (context / "run.cgi").chmod(0o755)
        for tag, more in VARIANTS.items():
            file = storage / f"Containerfile.{tag}"
            file.write_text(f"{FILE}{more}\n")
            podman("build", "--quiet", "--file", str(file), "--tag", f"{NAME}:{tag}", scratch)


@pytest.fixture
def engine(state: Path, images: None) -> Iterator[LocalEngine]:
    """A local engine; nothing of its containers is left."""
    made = engine_for(state)
    yield made
    made.stop_all([])
    until(lambda: not processes_below(state))
    assert podman("ps", "--all", "--quiet") == ""


def web(version: str = "1", **changes: object) -> LocalUnit:
    """A service that is an image: it serves its version, and runs what it is asked to by /cgi-bin/run?COMMAND."""
    unit = LocalUnit(
        unit="web", app="web", version=version, place="here", sources=(Source(kind="container", name=NAME),),
        container=Container(ports={"http": 8080}, state={"data": "/data"}),
        env={"PASSWORD": (SecretPart(secret="op://blumeops/web/password"),)},
        ports={"http": Port()}, state=("data",), health=Health(kind="http", port="http", path="/", within=10),
        stop_seconds=3, route=Route(label="web", port="http"),
    )  # fmt: skip
    return unit.model_copy(update=changes)
