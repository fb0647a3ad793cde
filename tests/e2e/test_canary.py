"""No secret leaks: values that can be known again are planted in a lab, and looked for wherever a person or a program
could see them, after all that can happen to a lab. In order."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import dns.message
import dns.query
import pytest

from blumeops.engines.local.leftovers import MARK
from blumeops.secrets import sops
from blumeops.secrets.age import Key, load_or_create
from blumeops.secrets.references import Reference
from tests.e2e.site import Clone, Site, make_site
from tests.e2e.test_first import eventually
from tests.e2e.test_secrets import set_value, value
from tests.leaks import Allowed, Found, Seeker, Watch, never_met, unexpected

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes by /proc"),
]

APPS = Path(__file__).with_name("apps")
SPILL = ("word", "quoted", "encoded", "token", "line", "door", "ssh", "htpasswd")
MORE = {"quoted": " '\"\\$HOME `x` %s {0}\tä\nsecond line", "encoded": "+/+/=="}
"""What stands behind a planted value, to be quoted."""
PLANTED = {
    **{f"spill.{name}": f"op://first/spill/{name}" for name in SPILL},
    "tick.key": "op://first/tick/key",
    "borgmatic.passphrase": "op://first/borgmatic/passphrase",
    "miniflux.admin": "op://first/miniflux/admin-password",
    "miniflux.database": "op://first/miniflux/database-password",
    "postgresql.superuser": "op://first/postgresql/superuser-password",
}
"""A canary's name, and the reference whose value it is. One that replaces it has the same name with a number behind."""

SLOT = r"\.[ab]"
SPILLS, TICKS = r"spill\.(word|quoted|encoded|door|htpasswd)(#\d)?", r"tick\.key(#\d)?"
MINIFLUX, DATABASE = r"miniflux\.(admin|database)(#\d)?", r"(miniflux\.database|postgresql\.superuser)(#\d)?"
BACKUP = r"borgmatic\.passphrase|(miniflux\.database|postgresql\.superuser)(#\d)?"
STATE = "state/"
ALLOWED = {
    # Processes: their own environment, to be read by their own user and root.
    "spill runs": Allowed(rf"environment of \S*/programs/spill{SLOT}", SPILLS, "the service takes them there"),
    "tick runs": Allowed(rf"environment of \S*/programs/tick{SLOT}", TICKS, "the job takes it there", brief=True),
    "miniflux runs": Allowed(rf"environment of \S*/programs/miniflux{SLOT}", MINIFLUX, "the service takes them there"),
    "borg runs": Allowed(
        rf"environment of \S*/programs/borgmatic{SLOT}",
        BACKUP,
        "borg takes the passphrase there, pg_dump its password",
        brief=True,
    ),
    "psql makes a database": Allowed(
        r"environment of \S*/units/miniflux/helper",
        DATABASE,
        "psql and pg_dump take them there, while they run",
        brief=True,
    ),
    # Files of ours: of root alone, or of whoever runs the services.
    "what spill becomes": Allowed(rf"{STATE}manager/programs/spill{SLOT}\.json", SPILLS, "launch.py reads it", 0o600),
    "what tick becomes": Allowed(rf"{STATE}manager/programs/tick{SLOT}\.json", TICKS, "launch.py reads it", 0o600),
    "what miniflux becomes": Allowed(
        rf"{STATE}manager/programs/miniflux{SLOT}\.json", MINIFLUX, "launch.py reads it", 0o600
    ),
    "spill's private file": Allowed(
        rf"{STATE}units/spill/[ab]/secrets/token", r"spill\.token(#\d)?", "it reads it", 0o600
    ),
    "spill's key of several lines": Allowed(
        rf"{STATE}units/spill/[ab]/secrets/ssh", r"spill\.ssh", "it reads it", 0o600
    ),
    "spill's configuration": Allowed(
        rf"{STATE}units/spill/[ab]/config/spill\.conf", r"spill\.line(#\d)?", "it reads it", 0o600
    ),
    "borgmatic's private files": Allowed(
        rf"{STATE}units/borgmatic/[ab]/secrets/(passphrase|miniflux-database)", BACKUP, "borg, pg_dump read them", 0o600
    ),
    "postgresql's private file": Allowed(
        rf"{STATE}units/postgresql/[ab]/secrets/superuser_password", r"postgresql\.superuser", "initdb reads it", 0o600
    ),
    "what miniflux was granted": Allowed(
        rf"{STATE}units/miniflux/[ab]/grants\.json", DATABASE, "to grant it again when an update is taken back", 0o600
    ),
    "the key": Allowed(rf"{STATE}age\.key", "age key", "it opens the store", 0o600),
    "the forge's token": Allowed(rf"{STATE}forge-token", "forge token", "Git's credential helper reads it", 0o600),
    # What a program itself wrote. BlumeOps keeps it for its owner, and takes the values out of every copy.
    "spill's own log": Allowed(rf"{STATE}logs/spill{SLOT}\.log", r"spill\..*", "it printed them", 0o600),
    "tick's own log": Allowed(rf"{STATE}logs/tick{SLOT}\.log", r"tick\..*", "it printed it", 0o600),
}


TELLING = ("status", "status --json", "history --json", "logs spill tick postgresql miniflux controller -n 500")
OTHERS = (
    "history", "plan --json", "plan --markdown", "show spill --json", "check --json", "doctor",
    "whatif", "reach", "secret list --json", "secret check", "secret recipients", "op item list",
    "op item get spill --vault first", "logs spill --json",
)  # fmt: skip


@dataclass
class Watched(Site):
    """A site of which everything that a command printed is kept."""

    printed: list[tuple[str, str]] = field(default_factory=list)

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """As Site does."""
        done = super().run(*arguments, code=code)
        self.printed += [(" ".join(arguments)[:100], done.stdout), (" ".join(arguments)[:100], done.stderr)]
        return done


@dataclass
class Ground:
    """Where is looked, and what was found so far."""

    site: Watched
    seeker: Seeker
    watch: Watch
    place: Path
    printed: list[tuple[str, str]] = field(default_factory=list)
    found: set[Found] = field(default_factory=set)

    def look(self) -> None:
        """Everywhere; nothing may be where it need not be."""
        site, seeker = self.site, self.seeker
        self.watch.look()
        now = set(self.watch.found)
        for words, text in [*site.printed, *self.printed]:
            now |= seeker.in_text(f"output of {words}", text)
        now |= seeker.in_files(self.place)
        now |= seeker.in_files(self.place.parent.parent / "home")
        for repository in (site.state / "forge/first.git", self.place / "clone/.git"):
            if repository.is_dir():
                now |= seeker.in_repository(repository)
        self.found |= now
        if bad := unexpected(now, ALLOWED.values()):
            pytest.fail("\n".join(bad), pytrace=False)

    def ask_all(self, commands: Sequence[str] = TELLING) -> None:
        """The commands that tell something, and every server."""
        site = self.site
        for words in commands:
            site.run(*words.split(), code=None)
        for path in ("/", "/metrics", "/first.git/info/refs?service=git-upload-pack", "/first.git/HEAD", "/webhook"):
            self.printed.append((f"forge {path}", _answer(f"http://localhost:{site.forge}{path}")))
        for name in ("feed.ops.localhost", "nothing.ops.localhost", "ops.localhost"):
            for kind in ("A", "TXT", "ANY", "SOA"):
                question = dns.message.make_query(name, kind)
                self.printed.append((f"DNS {name} {kind}", str(dns.query.udp(question, "127.0.0.1", 5, site.dns))))
        for label in ("feed", "spill", "tick", "nothing"):
            done = site.ask(label, "/", "--include")
            self.printed.append((f"proxy {label}", done.stdout + done.stderr))


def _answer(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return f"{answer.headers}{answer.read().decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}{error.read().decode(errors='replace')}"


@pytest.fixture(scope="module")
def seeker() -> Seeker:
    """Of this lab."""
    return Seeker()


@pytest.fixture(scope="module")
def site(place: Path, seeker: Seeker) -> Iterator[Watched]:
    """labs/first with a service and a job that spill, and a store with a canary for each secret. Not up."""
    made = Watched(**vars(make_site(place)))
    for name in ("spill", "tick"):
        shutil.copytree(APPS / name, made.folder / "apps" / name)
    with (made.folder / "services" / "services.yaml").open("a") as file:
        file.write("spill: {host: server, name: spill, options: {mood: well}}\n")
        file.write("borgmatic: {host: server}\n")
        file.write('tick: {host: server, options: {seconds: "0", code: "3"}}\n')
    text = (made.folder / "lab.yaml").read_text()
    nas = "  nas: {os: linux, role: storage, shares: {backups: {path: /backups, by: [ssh]}}}\n"
    text = text.replace("hosts:\n", f"hosts:\n{nas}") + '\nbackup: {to: nas/backups, at: "03:00"}\n'
    (made.folder / "lab.yaml").write_text(text)
    key = load_or_create(made.state / "age.key")
    (made.folder / sops.NAME).write_bytes(sops.updated(None, _values(seeker), key))
    seeker.know("age key", _secret_line(key))
    yield made
    made.run("down", code=None)


def _values(seeker: Seeker) -> dict[Reference, str]:
    """A private key has lines that are each known; a line for htpasswd is known by its hash."""
    planted = dict.fromkeys(PLANTED, "")
    lines = "\n".join(secrets.token_hex(35) for _ in range(5))
    planted["spill.ssh"] = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}\n-----END OPENSSH PRIVATE KEY-----\n"
    for name in planted:
        if not planted[name]:
            planted[name] = seeker.plant(name, MORE.get(name.partition(".")[2], ""))
    hashed = bcrypt.hashpw(planted["spill.door"].encode(), bcrypt.gensalt(4)).decode()
    planted["spill.htpasswd"] = f"spill:{hashed}\n"
    for name in ("spill.ssh", "spill.htpasswd"):
        seeker.know(name, planted[name])
    return {Reference.parse(reference): planted[name] for name, reference in PLANTED.items()}


def _secret_line(key: Key) -> str:
    return next(line for line in key.path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))


@pytest.fixture(scope="module")
def ground(site: Watched, seeker: Seeker, place: Path) -> Iterator[Ground]:
    """All processes are watched as long as the tests run."""
    with Watch(seeker, MARK) as watch:
        yield Ground(site, seeker, watch, place)


@pytest.fixture(scope="module")
def clone(site: Watched, place: Path, ground: Ground) -> Clone:
    """Of the lab that is up."""
    return site.clone(place / "clone")


def push(ground: Ground, clone: Clone, old: str, new: str, code: int = 0) -> str:
    """Change a line of the services; what the push printed."""
    clone.git("pull", "-q")
    clone.change(old, new, f"From {old[:20]} to {new[:20]}")
    said = clone.push(code)
    ground.printed.append((f"push of {new}", said))
    return said


def test_up(ground: Ground, site: Watched, seeker: Seeker) -> None:
    """Everything is healthy with the planted values; they are where they must be, and nowhere else."""
    site.run("up")
    seeker.know("forge token", (site.state / "forge-token").read_text().strip())
    assert {name for name, unit in site.units().items() if unit["health"] == "healthy"} >= {"spill", "miniflux"}
    for name, reference in PLANTED.items():
        assert value_unseen(site, reference) == seeker.values[name]
    ground.ask_all((*TELLING, *OTHERS))
    for where in ("here", "home"):
        written = site.json("render", "--site", where, "--out", str(ground.place / f"rendered-{where}"))["written"]
        assert len(written) > 3, "they are looked at with all other files of the place"
    ground.look()


def value_unseen(site: Site, reference: str) -> str:
    """What `op read` says: the one command that shows a value, whose output is not looked at."""
    return value(Site(**{name: getattr(site, name) for name in Site.__dataclass_fields__}), reference)


def test_what_programs_print_is_in_no_copy(ground: Ground, site: Watched, clone: Clone) -> None:
    """Updates that are refused and a program that dies with all its secrets in its last lines: status, history, push
    and page tell of it, and of no value."""
    for mood in ("ill", "dead"):
        said = push(ground, clone, "mood: well", f"mood: {mood}")
        assert "spill" in said
        assert "***" in said
        ground.ask_all()
        push(ground, clone, f"mood: {mood}", "mood: well")

    def told() -> bool:  # a single end is no more told once it is well again
        site.ask("spill", "/die")
        return "***" in site.units()["spill"]["reason"]

    assert eventually(told)
    ground.ask_all()
    ground.look()


def test_a_job_that_prints_its_secret(ground: Ground, site: Watched) -> None:
    """Neither who follows it nor the status sees it."""
    done = site.run("run", "tick", code=1)
    assert "as if the key were ***" in done.stdout
    ground.ask_all()
    ground.look()


def test_a_backup(ground: Ground, site: Watched) -> None:
    """Borg makes a repository with the passphrase, and dumps of databases with theirs."""
    done = site.run("run", "borgmatic", code=None)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    ground.ask_all()
    ground.look()


def test_logs_show_secrets_only_when_asked_to(ground: Ground, site: Watched) -> None:
    """`--raw` shows the file as it is; without the key that tells secrets from the rest, nothing is shown."""
    word = ground.seeker.values["spill.word"]
    told = Site.run(site, "logs", "spill", "--raw", "-n", "9")
    assert word in told.stdout
    other = ground.place / "other.key"
    load_or_create(other)
    refused = site.run("logs", "spill", "--age-key", str(other), code=1)
    assert "BLU526" in refused.stderr
    assert not refused.stdout
    site.run("secret", "check", "--age-key", str(other), code=1)
    ground.look()


def test_new_values(ground: Ground, site: Watched, seeker: Seeker, clone: Clone) -> None:
    """Given by a person, made anew, and taken back because a program ends with it. `logs` knows the old ones too."""
    for name in ("word", "quoted", "token", "line"):
        new = seeker.plant(f"spill.{name}#2", MORE.get(name, ""))
        ground.printed.append((f"secret set {name}", set_value(site, PLANTED[f"spill.{name}"], new.encode())))
    bad = seeker.plant("spill.word#3", " bad").encode()
    said = set_value(site, PLANTED["spill.word"], bad, code=1)
    assert "has the old values again" in said
    assert "***" in said
    ground.printed.append(("secret set, refused", said))
    made = site.run("secret", "rotate", "miniflux.database_password", "spill.encoded").stderr
    assert "restarts: miniflux, spill\nfrom its next run on: borgmatic\n" in made
    for name in ("miniflux.database", "spill.encoded"):
        seeker.know(f"{name}#2", value_unseen(site, PLANTED[name]))
    assert site.serves()
    ground.ask_all()
    ground.look()


def still_changed(site: Watched, seeker: Seeker) -> bool:
    """Whether a file has the value that was put there by hand."""
    return any(each.canary == "spill.line#3" for each in seeker.in_files(site.state / "units"))


def test_a_file_that_was_changed_by_hand(ground: Ground, site: Watched, seeker: Seeker) -> None:
    """What stood there before and what somebody put there are both not shown, whoever knows them."""
    (file,) = site.state.glob("units/spill/?/config/spill.conf")
    file.write_text(f"# Its configuration.\nline = {seeker.plant('spill.line#3')}\n")
    site.run("plan", code=None)
    assert eventually(lambda: "by hand" in site.run("history", "-n", "3").stdout)
    assert eventually(lambda: site.units()["spill"]["health"] == "healthy" and not still_changed(site, seeker))
    ground.ask_all()
    ground.look()


BUG = """
import importlib, sys, traceback
from blumeops.cli.main import main
module, name, *words = sys.argv[1:]
def wrong(*_, **__):
    raise KeyError("a bug")
setattr(importlib.import_module(module), name, wrong)
try:
    main(words)
except KeyError as error:
    print(*traceback.TracebackException.from_exception(error, capture_locals=True).format())
"""
"""A command with a bug in it, where it has the values in its hands; what a program that collects errors would send."""


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("blumeops.connect.command", "read", "op read op://first/spill/word"),
        ("blumeops.connect.command", "whole", "op item get spill --vault first --json"),
        ("blumeops.cli.logs", "last_lines", "logs spill"),
        ("blumeops.secrets.sops", "_output", "op read op://first/spill/word"),
        ("blumeops.plan.compare", "with_new_secrets", "plan"),
    ],
)
def test_a_bug_tells_nothing(ground: Ground, site: Watched, module: str, name: str, words: str) -> None:
    """Neither the line for people, nor the trace, nor the variables of every function on the way there."""
    for more in ([], ["--traceback"]):
        where = ["--lab", str(site.folder), "--state", str(site.state)]
        argv = [sys.executable, "-c", BUG, module, name, *words.split(), *where, *more]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert ("BLU999 a bug: KeyError" in done.stderr) != ("KeyError: 'a bug'" in done.stdout), done.stderr
        assert ("arguments = Namespace(" in done.stdout) == bool(more)
        ground.printed.append((f"{words} with a bug in {name}", done.stdout + done.stderr))
    ground.look()


def test_a_way_back(ground: Ground, site: Watched, clone: Clone) -> None:
    """A rollback, and a second `up` after the controller was killed."""
    site.run("rollback", code=None)
    controller = site.controller()
    assert controller
    controller.kill()
    site.run("up", code=None)
    ground.ask_all()
    ground.look()


def test_no_program_leaves_a_core(site: Watched) -> None:
    """What was in a process's memory when it crashed is written nowhere: neither by services nor by the controller."""
    running = [unit["pid"] for unit in site.units().values() if unit.get("pid")]
    controller = site.controller()
    assert controller
    pids = {controller.pid, *running, *(site.process(name).pid for name in ("caddy", "postgres", "miniflux"))}
    for pid in pids:
        (line,) = [each for each in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in each]
        assert line.split()[4] == "0"


def test_what_is_left_of_a_service(ground: Ground, site: Watched, clone: Clone) -> None:
    """Once it is out of the lab: its own log, nothing else; and nothing runs after `down`."""
    push(ground, clone, "spill: {host: server, name: spill, options: {mood: well}}\n", "")
    assert eventually(lambda: "spill" not in site.units())
    site.run("down")
    ground.look()
    left = {found.place for found in ground.seeker.in_files(site.state) if found.canary.startswith("spill.")}
    assert left
    assert all(place.startswith("logs/spill.") for place in left)


def test_every_place_that_is_allowed_is_needed(ground: Ground) -> None:
    """The list above is no longer than it must be."""
    assert never_met(ground.found, ALLOWED) == []
