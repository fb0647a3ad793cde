"""Wiring of the commands: which state, engine, forge and store stand behind them. No server is imported here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from blumeops.app.running import CONTROLLER, SOCKET, controller_answers, must_exist
from blumeops.base.errors import BlumeError, EngineError, UserError
from blumeops.base.files import scratch
from blumeops.base.findings import errors
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab
from blumeops.engines.local import ports
from blumeops.engines.local.engine import LocalEngine, local_engine
from blumeops.engines.local.health import last_lines
from blumeops.engines.local.manager import ProcessManager, ProcessSpec
from blumeops.engines.local.programs import Programs, cache_folder, runtime
from blumeops.forge.repository import Repository
from blumeops.lab.settings import Here, Settings
from blumeops.loop.revision import read_revision
from blumeops.loop.rollback import target_of
from blumeops.plan.compare import start_order
from blumeops.render.local_unit import LocalUnit, Port
from blumeops.secrets import keyrings, sops
from blumeops.secrets.age import Key
from blumeops.secrets.masks import Masks
from blumeops.status import records, shares
from blumeops.status.database import read_database

Say = Callable[[str], None]


def engine_of(folder: SiteFolder) -> Callable[[Callable[[str], str]], LocalEngine]:
    """Makes the site's engine for a given way to read secrets. What one of them read, none of them shows."""
    programs, masks = Programs(cache_folder()), Masks()
    return lambda secrets: local_engine(
        folder.path, secrets, programs, shares=shares.read(folder.path), masks=masks
    )  # fmt: skip


def own_socket(folder: SiteFolder) -> Path:
    """The same for the controller itself: its folder is made."""
    return _quiet(folder).folders.make_short() / SOCKET


def repository_of(folder: SiteFolder, lab: str) -> Repository:
    """The forge's repository, made where it is not there; no push may be running."""
    return Repository.create_or_open(folder.repository / f"{lab}.git", _quiet(folder).folders.short() / SOCKET)


def existing_repository(folder: SiteFolder, lab: str) -> Repository:
    """The forge's repository, to read. Raises UserError `BLU790` where there is none."""
    must_exist(folder)
    return Repository(folder.repository / f"{lab}.git")


def prepare(folder: SiteFolder) -> None:
    """Make the state folder, for its owner and the services' user alone. Raises EngineError, Unavailable."""
    _quiet(folder).folders.prepare()


def applied(folder: SiteFolder) -> Mapping[str, LocalUnit]:
    """The units in force; none where the site was never up."""
    return _quiet(folder).applied() if (folder.path / "units").is_dir() else {}


def compared(folder: SiteFolder) -> Mapping[str, LocalUnit]:
    """The units that a plan begins with; none where the site was never up."""
    return _quiet(folder).compared() if (folder.path / "units").is_dir() else {}


def contained(folder: SiteFolder) -> Mapping[str, bool]:
    """Of each unit that serves, whether it runs from an image."""
    return _quiet(folder).contained() if (folder.path / "units").is_dir() else {}


def checked(folder: SiteFolder, lab: str, revision: str) -> CheckedLab | None:
    """A revision of the forge as a checked lab; None where there is none, or it does not pass any more."""
    repository = Repository(folder.repository / f"{lab}.git")
    if not revision or not repository.path.is_dir():
        return None
    try:
        return read_revision(repository, folder.work, revision).checked
    except BlumeError:  # the revision is not there any more: a forge that was rewound
        return None


def seed(folder: SiteFolder, lab: str, source: Path, say: Say) -> bool:
    """Make `source` the forge's first revision; False when the forge has one already.

    Raises UserError `BLU606` when that would not pass the checks, whatever lies uncommitted in the folder.
    """
    known = Repository(folder.repository / f"{lab}.git")
    if known.path.is_dir() and known.head():
        return False
    repository = repository_of(folder, lab)

    def admit(revision: str) -> None:
        found = errors(read_revision(repository, folder.work, revision).findings)
        for finding in found:
            say(str(finding))
        if found:
            hint = "commit what you changed: the forge begins with what is committed"
            raise UserError("BLU606", str(source), f"its last commit, {revision[:8]}, does not pass the checks", hint)

    revision = repository.import_folder(source, [folder.path], admit)
    say(f"the forge begins with {revision[:8]}, from {source}")
    return True


def holds_secrets(folder: SiteFolder, lab: str, source: Path) -> bool:
    """Whether there are secrets that a key opens already: on the forge's main or, before there is one, in `source`."""
    repository = Repository(folder.repository / f"{lab}.git")
    if repository.path.is_dir() and (head := repository.head()):
        return repository.holds(head, sops.NAME)
    return (source / sops.NAME).is_file()


def root_certificate(folder: SiteFolder, proxy: str) -> Path:
    """Where Caddy keeps the root of its internal certificate authority."""
    return _quiet(folder).folders.data(proxy, "data") / "caddy/pki/authorities/local/root.crt"


def same_as_forge(folder: SiteFolder, lab: str, source: Path) -> bool:
    """Whether the forge's main has the same files as `source`, but for the secrets that were generated. What is in
    `source` alone counts where it would be read as part of the lab."""
    repository = Repository(folder.repository / f"{lab}.git")
    head = repository.head()
    with scratch(folder.work, "compared-") as place:
        if head is None:
            return False
        checkout = place / "lab"
        repository.export(head, checkout)
        files = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()}
        described = [path for part in ("services", "apps") for path in (source / part).rglob("*") if path.is_file()]
        return {path.relative_to(source) for path in described} <= files and all(
            (source / name).is_file() and (source / name).read_bytes() == (checkout / name).read_bytes()
            for name in files
            if name != Path(sops.NAME)
        )


def start_controller(folder: SiteFolder, here: Here, key: Key, say: Say) -> None:
    """Start the process manager and the controller, unless they run. Where the keyring has the key, the controller asks
    it by itself, once. Raises EngineError when it does not answer."""
    manager = _quiet(folder).manager
    argv = (
        sys.executable, "-I", "-m", "blumeops", "controller", "--state", str(folder.path), "--port", str(here.forge),
        "--dns", str(here.dns), "--age-key", str(key.path.absolute()),
    )  # fmt: skip
    session = keyrings.VARIABLES if key.in_keyring else ()
    env = environment() | {name: os.environ[name] for name in session if name in os.environ}
    # Whoever kills it again and again, by hand or by the kernel, shall find it there again at once.
    spec = ProcessSpec(
        CONTROLLER, argv, env, folder.path, folder.controller_log, stop_seconds=60.0, backs_off=False
    )  # fmt: skip
    if manager.ensure_running():
        say("the process manager runs")
    before = manager.defined(CONTROLLER)
    if before != spec or not controller_answers(folder):
        process = manager.states().get(CONTROLLER)
        own = ports.family(process.pid) if process and process.pid else set()
        ports.require_free(CONTROLLER, "forge", Port(fixed=here.forge, setting="forge"), own)
        manager.stop(CONTROLLER)
        manager.define(spec)
        manager.start(CONTROLLER)
    _wait_for_controller(folder, manager)


def stop_all(folder: SiteFolder, say: Say) -> None:
    """Stop the controller, then every unit, users before their providers, then the manager."""
    engine = _quiet(folder)
    if CONTROLLER in engine.manager.states():
        engine.manager.stop(CONTROLLER)
    units = engine.applied().values()
    runs = [unit.unit for unit in units if unit.kind == "job" and engine.running_job(unit.unit)]
    order = start_order(unit for unit in units if unit.command and not unit.provided and unit.kind == "service")
    engine.stop_all(_told([*runs, *reversed(order)], say))


def settings_of(folder: SiteFolder, lab: str, given: Settings) -> Settings:
    """lab.yaml as it is on the forge's main: what is up follows that, whatever the folder of `up` says."""
    repository = existing_repository(folder, lab)
    revision = read_revision(repository, folder.work, repository.resolve("main"))
    return revision.checked.lab.settings if revision.checked else given


def _told(names: Iterable[str], say: Say) -> Iterator[str]:
    for name in names:
        say(f"{name}: stopping")
        yield name


def rollback_target(folder: SiteFolder, lab: str, wanted: str | None) -> str:
    """The full name of the revision to go back to. Raises UserError `BLU790`, and what `target_of` does."""
    database = read_database(folder.path)
    runs = records.history(database, records.KEPT_RUNS) if database else []
    return target_of(existing_repository(folder, lab), runs, wanted)


def environment() -> dict[str, str]:
    """Of our own environment, what the controller needs. Raises EngineError `BLU704` for ports that are none."""
    ports.offered()
    own = ("TZ", "BLUMEOPS_CACHE", "BLUMEOPS_PORTS", "SOPS_AGE_KEY_FILE", "XDG_RUNTIME_DIR")
    kept = (*own, "SSL_CERT_FILE", "SSL_CERT_DIR", *runtime.VARIABLES)
    found = {name: os.environ[name] for name in kept if name in os.environ} | {"BLUMEOPS_VERSION": version("blumeops")}
    if "BLUMEOPS_CACHE" in found:
        found["BLUMEOPS_CACHE"] = str(cache_folder())  # absolute: the controller works in another folder
    return found


def _wait_for_controller(folder: SiteFolder, manager: ProcessManager) -> None:
    deadline = time.monotonic() + 20
    while not controller_answers(folder):
        if manager.states()[CONTROLLER].state == "crashed" or time.monotonic() > deadline:
            words = last_lines(folder.controller_log) or "it printed nothing"
            raise EngineError("BLU795", "controller", f"does not start: {words}")
        time.sleep(0.02)


def _quiet(folder: SiteFolder) -> LocalEngine:
    """The engine for what needs no secret."""
    return engine_of(folder)(_none)


def _none(reference: str) -> str:
    raise LookupError(reference)
