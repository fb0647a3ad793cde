"""Build etcd and the programs of Kubernetes, once, into a cache outside the repository.

In: four Go modules (this folder's, and *_programs), Go, and its own module cache. Out: one static program
a name of PROGRAMS. A program that the cache has is never built again; one that is half built is never seen,
since it is moved into place when done; two builds at once wait for each other.

A step by itself, since a cold build takes minutes: `python tests/cluster/build.py [program ...]`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MODULE = Path(__file__).resolve().parent

_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_NETWORK = "github.com/containernetworking/plugins/plugins"

PROGRAMS = {
    "etcd": (".", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": (".", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": (".", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": (".", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubelet": (".", "k8s.io/kubernetes/cmd/kubelet"),
    "containerd": ("node_programs", f"{_CONTAINERD}/containerd"),
    "containerd-shim-runc-v2": ("node_programs", f"{_CONTAINERD}/containerd-shim-runc-v2"),
    "ctr": ("node_programs", f"{_CONTAINERD}/ctr"),
    "host-local": ("node_programs", f"{_NETWORK}/ipam/host-local"),
    "loopback": ("node_programs", f"{_NETWORK}/main/loopback"),
    "ptp": ("node_programs", f"{_NETWORK}/main/ptp"),
    "pause": ("node_programs", "node/pause"),
    "cnpg-webhook": ("cnpg_programs", "github.com/cloudnative-pg/cloudnative-pg/blumeops/cnpg-webhook"),
    "argocd-diff": ("argocd_programs", "argocd/argocd-diff"),
}
"""Each program: the folder of the Go module that requires it, and the package that it is made of."""

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")
DRIFT = ("cnpg-webhook", "argocd-diff")
"""What fills in and what compares, of the operators' own code: together two minutes of two cores, when cold."""
NODE = tuple(name for name in PROGRAMS if name not in (*CONTROL_PLANE, *DRIFT))

UNUSED_DAYS = 30
"""A cache of other versions that nobody asked for in so many days is removed."""

NO_GO = "Go is not installed: the real API server cannot be built"

Say = Callable[[str], None]


class BuildError(Exception):
    """A program could not be built. The text says what, why, and what to do."""


def go_version() -> str | None:
    """Go's version and platform, as `go1.26.8 linux/amd64`; None when Go is not on the path."""
    go = shutil.which("go")
    if go is None:
        return None
    # In the module's folder: its go.mod may ask for another toolchain than the default one.
    asked = subprocess.run([go, "env", "-json", "GOVERSION", "GOOS", "GOARCH"],
                           cwd=MODULE, env=_environment(), capture_output=True, text=True, check=False)  # fmt: skip
    if asked.returncode:
        raise BuildError(f"Go cannot use tests/cluster/go.mod: {asked.stderr.strip()}")
    found = json.loads(asked.stdout)
    return f"{found['GOVERSION']} {found['GOOS']}/{found['GOARCH']}"


def kubernetes_version() -> str:
    """The version of Kubernetes that go.mod names, as `v1.37.2`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildError("tests/cluster/go.mod does not require k8s.io/kubernetes: add it and run `go mod tidy`")
    return found[1]


def cache() -> Path:
    """Where built programs are kept, of all versions."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("BLUMEOPS_TEST_CACHE") or Path(home) / "blumeops-tests") / "cluster"


def built(programs: Sequence[str] = CONTROL_PLANE, say: Say = print) -> dict[str, Path]:
    """The path of each of `programs`, after building those that the cache does not have.

    `say` gets a line now and then. Raises BuildError when Go is absent or refuses.
    """
    version = go_version()
    if version is None:
        raise BuildError(f"{NO_GO}; install it, or leave these tests out")
    paths: dict[str, Path] = {}
    for module in dict.fromkeys(PROGRAMS[name][0] for name in programs):
        folder = cache() / _key(module, version)
        mine = {name: folder / name for name in programs if PROGRAMS[name][0] == module}
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        if _missing(mine):
            with _lock(cache() / "lock", say):
                # Asked again: whoever had the lock may have built them.
                if missing := _missing(mine):
                    _build(missing, MODULE / module, folder, say)
                    _remove_unused(keep=folder)
        paths |= mine
    return {name: paths[name] for name in programs}


def _key(module: str, version: str) -> str:
    """Changes with all that changes a program: the modules, our own code, the compiler, the platform, the flags."""
    folder = MODULE / module
    own = [path for path in folder.glob("*/*.go") if not (path.parent / "go.mod").exists()]
    files = [folder / "go.mod", folder / "go.sum", *sorted(own)]
    parts = [version, *_flags(), *(path.read_text() for path in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _missing(paths: dict[str, Path]) -> list[str]:
    return [name for name, path in paths.items() if not path.exists()]


def _flags() -> list[str]:
    """Without symbols (a third smaller), and with the version that a release's build script would set.

    https://github.com/kubernetes/kubernetes/blob/master/hack/lib/version.sh: an API server without it calls
    itself v0.0.0-master+$Format:%H$.
    """
    version = kubernetes_version()
    major, minor, *_ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean", "gitCommit": ""}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    marks = [f"-X {package}.{name}={value}" for package in packages for name, value in facts.items()]
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", " ".join(["-s", "-w", *marks])]


def _environment() -> dict[str, str]:
    """The person's own settings of Go (proxy, caches, toolchain), less what would change the programs."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def _build(names: Sequence[str], module: Path, folder: Path, say: Say) -> None:
    say(f"building {', '.join(names)}: minutes, and 4 GB of Go's cache, when cold")
    start = time.monotonic()
    for left in folder.glob(".building-*"):  # by a build that was killed: we have the lock, so nobody uses it
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as place:
        # One call for all: packages that they share are compiled once, and Go keeps every core busy.
        argv = ["go", "build", "-v", *_flags(), "-o", f"{place}/", *(PROGRAMS[name][1] for name in names)]
        argv = ["nice", "-n", "10", *argv] if shutil.which("nice") else argv
        _run(argv, module, lambda packages: say(f"  {time.monotonic() - start:.0f} s: {packages} packages compiled"))
        for name in names:
            made = Path(place) / _file_of(PROGRAMS[name][1])
            made.rename(folder / name)
            say(f"  {name}: {(folder / name).stat().st_size / 1e6:.0f} MB")
    say(f"  built in {time.monotonic() - start:.0f} s")


def _file_of(package: str) -> str:
    """The name that `go build` gives a program: the last part of its path that is no major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def _run(argv: Sequence[str], module: Path, progress: Callable[[int], None], seconds: float = 15) -> None:
    """Run `go build -v` to its end, telling the count of packages every `seconds`; the compilers die with us."""
    words: list[str] = []
    packages, told = 0, time.monotonic()
    process = subprocess.Popen(argv, cwd=module, env=_environment(), process_group=0, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    try:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                # -v prints import paths, one a line: whatever has a space in it is a word of Go's.
                packages += " " not in line.strip()
                words += [line] if " " in line.strip() else []
                if time.monotonic() - told > seconds:
                    told = time.monotonic()
                    progress(packages)
        code = process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise BuildError(f"go build failed ({code}); it said:\n{''.join(words[-30:]) or '(nothing)'}")


@contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    """Held while building. The kernel frees it when its holder ends, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_unused(keep: Path) -> None:
    """Remove the programs of versions that are no longer asked for. Under the lock only."""
    for folder in keep.parent.iterdir():
        if folder.is_dir() and folder != keep and time.time() - folder.stat().st_mtime > UNUSED_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)


def main(names: Sequence[str]) -> int:
    """Build the programs named (those of the control plane when none is); 1 when that fails."""
    if unknown := set(names) - set(PROGRAMS):
        print(f"no such program: {', '.join(sorted(unknown))}; there are: {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    try:
        for path in built(names or CONTROL_PLANE, lambda line: print(line, flush=True)).values():
            print(path)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
