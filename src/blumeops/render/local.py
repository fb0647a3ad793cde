"""Site `here`: a checked lab becomes one file a unit, `units/<service>.json`, in the order of names.

What `here` has built in stands in for the services named in BUILT_IN; they have a unit all the same, so that
plan and status speak of them.
"""

from __future__ import annotations

from blumeops.base.errors import Bug
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.backup import Kept
from blumeops.facts.built_in import BUILT_IN
from blumeops.facts.derive import HERE_DOMAIN, Facts, Route, ServiceFacts
from blumeops.facts.images import in_container, version_of
from blumeops.facts.parts import Text
from blumeops.lab.brought.model import way_of
from blumeops.lab.releases import called_by, downloads
from blumeops.lab.settings import Backup
from blumeops.lab.sources import AppSource
from blumeops.render import backup as borgmatic
from blumeops.render import local_unit as unit
from blumeops.render.caddy import looked_up
from blumeops.render.telemetry import derived
from blumeops.render.telemetry.view import View, labels

ELSEWHERE = {
    "chart": "its chart needs a cluster", "manifests": "its manifests need a cluster",
    "role": "its role sets up a host, and nothing here is changed by one",
}  # fmt: skip
"""Why what the lab brings for site `home` does not run here: by how it is brought."""
LOCAL_SOURCES = ("path", "wheel", "deb", "brew", "container", "release")

BECOMES = {
    "app": "the unit's `app`",
    "about": "nothing: only people read it",
    "version": "the version that a source must have; a unit with another is updated",
    "kind": "`service`: a process that is kept up; `job`: one that runs daily; `platform`: what is built in stands in",
    "sources": "wheel of the environment, Debian package or download in a cache, Homebrew, PATH, or an image",
    "tools": "had from their sources, and on PATH",
    "options": "the text where they are looked up",
    "ports": "a free port of 127.0.0.1, published to there from a container; the number of site `here` for an `entry`",
    "needs": "the unit waits until its provider is healthy",
    "provides": "the provider's programs run: before a user's first start, around its updates, to prune its data",
    "command": "the process, in a container where the program is an image",
    "arguments": "what the image's own program is given",
    "init": "run once, when the path is not there",
    "reload": "run when only files changed",
    "loaded": "asked every 10 seconds: another than the files made is a change by hand; not of a container",
    "env": "the environment of the process, from a private file",
    "files": "files in the unit's configuration folder",
    "secrets": "generated into the SOPS file; given in the environment or as a private file",
    "health": "probed at each start and while it runs",
    "metrics": "a file of targets, which the lab's Prometheus watches; a `folder` becomes nothing",
    "logs": "nothing: lines are shown as they were printed",
    "state": "folders below the site's state, kept when the service is deleted",
    "samples": "copied into the folder when it is empty before the first start",
    "update": "old one stopped, state copied, both brought back if the new one fails; or new one beside it first",
    "stop": "the signal, and the time until SIGKILL",
    "resources": "a limit of the container; for a process a control group of Linux, if we may make one; a job's end",
    "devices": "given to the container; a plain process sees all that its user may",
    "internet": "nothing: what runs on this machine calls whom it likes",
}


def render(checked: CheckedLab) -> FileTree:
    """The units of site `here`."""
    facts = checked.facts
    files, routes = {}, {route.service: route for route in facts.routes}
    for name, service in facts.services.items():
        made = _unit(checked, service, routes.get(name)).model_dump_json(indent=1, exclude_defaults=True)
        files[f"units/{name}.json"] = made.encode() + b"\n"
    return FileTree(files)


def units(tree: FileTree) -> dict[str, unit.LocalUnit]:
    """The units of a tree made by `render`, by name."""
    found = (unit.LocalUnit.model_validate_json(tree.files[path]) for path in tree)
    return {each.unit: each for each in found}


def _unit(checked: CheckedLab, service: ServiceFacts, route: Route | None) -> unit.LocalUnit:
    app, wiring, facts = service.app, service.wiring, checked.facts
    say = _Speaker(checked, service)
    sources = [source for source in app.sources if source.kind in LOCAL_SOURCES]
    sources = [source for source in sources if source.kind != "release" or source.sha256]  # else a page for people
    if not in_container(app):
        sources = [source for source in sources if source.kind != "container"]
    unavailable = _elsewhere(service)
    files = {name: say(text) for name, text in wiring.files.items()}
    backup = checked.lab.settings.backup
    keeper = any(file.derived == "backup" for file in app.files.values())
    kept = _kept(checked) if keeper else ()
    uses = tuple(dict.fromkeys(each.database.provider for each in kept if each.database))
    for name, file in app.files.items():
        if file.derived == "routes":
            files[name] = say(looked_up(checked.lab, facts, HERE_DOMAIN, checked.lab.settings.here.https))
        elif file.derived == "backup":
            files[name] = say(borgmatic.configuration(checked.lab.settings.lab, backup, kept))
        elif file.derived:
            made = derived(View(checked, service, here=True), name, file)
            files |= {each: say(text) for each, text in made.items()}
    health = service.service.health or app.health
    return unit.LocalUnit(
        unit=service.name,
        app=app.app,
        version=service.version,
        place=service.service.place,
        kind="job" if app.kind == "job" else "service",
        run_seconds=(service.service.resources or app.resources).time if app.kind == "job" else None,
        at=(backup.at if backup else Backup.model_fields["at"].default) if app.kind == "job" else "",
        needs=tuple(dict.fromkeys((*(need for need in service.needs if need in facts.services), *uses))),
        tools=tuple(
            unit.Tool(version=tool.version, sources=tuple(_source(each, service) for each in tool.sources))
            for tool in app.tools.values()
        ),
        uses=uses,
        sources=tuple(_source(source, service) for source in sources),
        provided=BUILT_IN.get(app.app, ""),
        unavailable="" if app.app in BUILT_IN else unavailable,
        command=tuple(say(text) for text in wiring.command),
        container=_container(checked, service, say) if in_container(app) else None,
        init=unit.Init(command=tuple(say(t) for t in wiring.init_command), creates=say(wiring.init_creates))
        if wiring.init_command
        else None,
        grants=_grants(checked, service),
        reload=tuple(say(text) for text in wiring.reload),
        loaded=unit.Loaded(socket=app.loaded.socket, path=app.loaded.http) if app.loaded else None,
        env={name: say(text) for name, text in wiring.env.items()},
        files=files,
        reads_all=keeper,
        secret_files=_secret_files(service) | _passwords(kept),
        ports={
            name: unit.Port(fixed=checked.lab.settings.here.https, setting="https", protocol=port.protocol)
            if port.entry
            else unit.Port(protocol=port.protocol)
            for name, port in {**app.ports, **service.service.ports}.items()
        },
        state=tuple((service.service.state or app.state).folders),
        samples={folder: f"{app.app}/{file}" for folder, file in app.samples.items()},
        health=unit.Health(kind="http", port=health.port, path=health.http, within=health.within)
        if health and health.http
        else unit.Health(kind="tcp", port=health.tcp, within=health.within)
        if health and health.tcp
        else unit.Health(
            kind="command", command=tuple(say(text) for text in wiring.health_command), within=health.within
        )
        if health
        else None,
        metrics=unit.Metrics(port=app.metrics.port, path=app.metrics.http, labels=labels(service))
        if app.metrics and not app.metrics.folder
        else None,
        update=app.update,
        stop_signal=app.stop.signal,
        stop_seconds=app.stop.within,
        memory=(service.service.resources or app.resources).memory,
        url=service.here_url,
        route=unit.Route(label=route.label, port=route.port) if route else None,
        heal=service.heal,
    )


def is_run(service: ServiceFacts) -> bool:
    """Whether anything of it runs at this site, where its program can be had: nothing stands in for it."""
    return service.app.app not in BUILT_IN and not _elsewhere(service)


def _elsewhere(service: ServiceFacts) -> str:
    """Why it runs at site `home` alone; empty: it does not."""
    way = None if service.service.app else way_of(service.service)
    return ELSEWHERE[way] if way else ""


def _source(source: AppSource, service: ServiceFacts) -> unit.Source:
    version, digest = source.version, None
    if source.kind == "release":
        return _release(source, service)
    if source.kind == "container":  # a tag like v3.14.0: another version of the app has its tag
        version = version_of(source, service.app, service.version) if version else None
        digest = service.digest or None
    return unit.Source(
        kind=source.kind, name=source.name, version=version, suite=source.suite, bin=source.bin, uid=source.uid,
        digest=digest,
    )  # fmt: skip


def _release(source: AppSource, service: ServiceFacts) -> unit.Source:
    """Its addresses are those of the version wanted, its SHA-256 those of the version that the app has."""
    name = called_by(service.app.command, service.app.app)
    found = {
        platform: unit.Download(
            url=each.url, sha256=each.sha256, archive=each.archive, folder=each.folder, program=each.program, name=name
        )
        for platform, each in downloads(source, source.version or service.version).items()
    }
    known = source.version or service.app.version
    return unit.Source(kind="release", name=service.app.app, version=source.version, downloads=found, known=known)


def _container(checked: CheckedLab, service: ServiceFacts, say: _Speaker) -> unit.Container:
    """The same paths as in a pod."""
    app, described, member = service.app, service.service, checked.lab.members.get(service.name)
    paths = member.mounts if member else {}
    return unit.Container(
        ports={name: port.port for name, port in {**app.ports, **described.ports}.items()},
        state=(described.state or app.state).folders,
        files={name: file.path for name, file in app.files.items()},
        shares={share: paths.get(name, f"/mnt/{name}") for name, share in described.mounts.items()},
        arguments=tuple(say(text) for text in service.wiring.arguments),
        devices=service.devices,
        network=member.project if member else "",
        aliases=member.aliases if member else (),
    )


def _kept(checked: CheckedLab) -> tuple[Kept, ...]:
    """What is kept by what runs here; a built-in that stands in keeps its own."""
    services = checked.facts.services
    return tuple(each for each in checked.facts.kept if services[each.service].app.app not in BUILT_IN)


def _passwords(kept: tuple[Kept, ...]) -> dict[str, str]:
    """The passwords of the databases that are dumped."""
    return {borgmatic.password_of(each.service): each.database.password for each in kept if each.database}


def _secret_files(service: ServiceFacts) -> dict[str, str]:
    """The secrets that the app wants as files: those that it looks up as such."""
    references = {use.name: use.reference for use in service.secrets}
    wiring = service.wiring
    texts = [
        *wiring.command, *wiring.arguments, *wiring.init_command, *wiring.reload, *wiring.health_command,
        *wiring.env.values(), *wiring.files.values(),
    ]  # fmt: skip
    wanted = {part.name for text in texts for part in text if isinstance(part, parts.SecretFile)}
    return {name: references[name] for name in sorted(wanted)}


def _grants(checked: CheckedLab, service: ServiceFacts) -> tuple[unit.Grant, ...]:
    use, wiring = service.database, service.wiring
    if use is None:
        return ()
    say = _Speaker(checked, checked.facts.services[use.provider], reader=service)
    return (
        unit.Grant(
            provider=use.provider,
            command=tuple(say(text) for text in wiring.grant_command),
            stdin=wiring.grant_stdin,
            env={name: say(text) for name, text in wiring.grant_env.items()},
            dump=tuple(say(text) for text in wiring.dump_command),
            restore=tuple(say(text) for text in wiring.restore_command),
            drop=tuple(say(text) for text in wiring.drop_command),
        ),
    )


class _Speaker:
    """Says the parts of a service's texts in the local unit's words.

    `reader`: the service whose unit the text stands in, when that is another one.
    """

    def __init__(self, checked: CheckedLab, service: ServiceFacts, reader: ServiceFacts | None = None) -> None:
        self.facts: Facts = checked.facts
        self.name = service.name
        self.reader = (reader or service).name
        self.contained = in_container(service.app)

    def __call__(self, text: Text) -> unit.Text:
        said: list[unit.Part] = []
        for part in map(self.part, text):
            if isinstance(part, str) and said and isinstance(said[-1], str):
                said[-1] += part
            else:
                said.append(part)
        return tuple(said)

    def part(self, part: parts.Part) -> unit.Part:
        match part:
            case str():
                return part
            case parts.SecretValue(reference):
                return unit.SecretPart(secret=reference)
            case parts.SecretFile(name):
                return unit.SecretFilePart(secret_file=name)
            case parts.Listen(_, "host") | parts.Address(_, _, "host") if not self.contained:
                return "127.0.0.1"
            case parts.Listen(_, "host"):
                return unit.HostPart(host="listen")
            case parts.Address(service, _, "host"):
                return unit.HostPart(host="reach", unit="" if service == self.reader else service)
            case parts.Listen(port, "port"):
                return self.port(self.name, port)
            case parts.Address(service, port, "port"):
                return self.port(service, port)
            case parts.StateFolder(service, name):
                return unit.FolderPart(folder="state", name=name, unit=service)
            case parts.StateLine(before, folder, after):
                return unit.FolderPart(
                    folder="state", name=folder.name, unit=folder.service, before=before, after=after
                )
            case parts.ShareFolder(share):
                return unit.FolderPart(folder="share", name=share)
            case parts.Folder("state", name):
                return unit.FolderPart(folder="state", name=name)
            case parts.Folder("run"):
                return unit.FolderPart(folder="run")
            case parts.Folder("mount", name):
                return unit.FolderPart(folder="share", name=self.facts.services[self.name].service.mounts[name])
            case parts.FilePath(name):
                return unit.FolderPart(folder="config", name=name)
            case parts.UpstreamsFolder():
                return unit.FolderPart(folder="upstreams")
            case parts.PagesFolder():
                return unit.FolderPart(folder="pages")
            case parts.TargetFiles():
                return unit.FolderPart(folder="targets", name="*.json")
            case parts.Url(service):
                return self.facts.services[service].here_url
        raise Bug("BLU990", "render", f"does not know how to say {part!r} at site here")

    def port(self, service: str, port: str) -> unit.PortPart:
        return unit.PortPart(port=port, unit="" if service == self.reader else service)
