"""External Secrets itself: its own controller, with the one provider that asks a Connect server.

In: a control plane that has the custom resource definitions, and Go. Out: the program, built once into the cache, and
one that runs. The whole program has forty providers for clouds that are not asked here and take far longer to build, so
the two files that register them are written anew; every other file is the release's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.files import locked

from .control_plane import LOOPBACK, ControlPlane
from .servers import free_ports

MODULE = "github.com/external-secrets/external-secrets"
VERSION = "v0.20.4"
"""The last one whose packages are one Go module: newer ones are many, of which the module proxies have none."""
REGISTERS = {
    "pkg/provider/register/register.go": f'package register\n\nimport _ "{MODULE}/pkg/provider/onepassword"\n',
    "pkg/generator/register/register.go": "package register\n",
}
DEFINITION = "generators.external-secrets.io_generatorstates.yaml"
"""Of a kind that the controller watches whether somebody uses it or not."""
FLAGS = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
SECONDS = 600.0


class NotServed(Exception):
    """Go cannot fetch the module, or one that it needs: the text is what it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """The controller, and the definitions that it needs beside the published ones."""

    path: Path
    definitions: Path


def program() -> Program:
    """It, from the cache or built now. Raises NotServed, or AssertionError with the compiler's words."""
    parts = [MODULE, VERSION, *FLAGS, *REGISTERS, *REGISTERS.values()]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    place = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "external-secrets" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_suffix(".lock")):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as folder:
                made = Path(folder) / "made"
                _build(Path(folder) / "source", made)
                made.rename(place)
    return Program(place / "external-secrets", place / "definitions")


def _build(source: Path, made: Path) -> None:
    got = json.loads(_go("mod", "download", "-json", f"{MODULE}@{VERSION}", cwd=source.parent))
    # Not copytree's own way of copying: in Go's cache nothing may be written to.
    shutil.copytree(got["Dir"], source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name, text in REGISTERS.items():
        assert (source / name).exists(), f"{VERSION} has no {name}"
        (source / name).write_text(text)
    (made / "definitions").mkdir(parents=True)
    shutil.copyfile(source / "config" / "crds" / "bases" / DEFINITION, made / "definitions" / DEFINITION)
    _go("build", *FLAGS, "-o", str(made / "external-secrets"), ".", cwd=source)


def _go(*words: str, cwd: Path) -> str:
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        ["go", *words], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=SECONDS
    )  # fmt: skip
    said = done.stderr + (done.stdout if words[0] == "mod" else "")
    if done.returncode and any(word in said for word in ("dial tcp", "reading https://", "module lookup disabled")):
        raise NotServed(said.strip().splitlines()[-1])
    assert done.returncode == 0, said
    return done.stdout


@contextmanager
def controller(plane: ControlPlane, program: Program) -> Iterator[None]:
    """One that runs, with the rights of an administrator; it ends with the block.

    As its chart starts it, but for addresses on loopback, and without the kinds that no lab has.
    """
    plane.install_crds(program.definitions)
    (port,) = free_ports(1)
    server = plane.servers.start(
        "external-secrets",
        [
            str(program.path), "--metrics-addr=0", f"--live-addr={LOOPBACK}:{port}",
            "--enable-cluster-push-secret-reconciler=false", "--enable-cluster-external-secret-reconciler=false",
            "--loglevel=debug",
        ],
        {"KUBECONFIG": str(plane.kubeconfig), "HOME": str(plane.folder)},
    )  # fmt: skip
    try:
        plane.servers.wait(lambda: _lives(f"http://{LOOPBACK}:{port}/healthz"), server)
        yield
    finally:
        plane.servers.stop(server)


def _lives(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
