"""The files by which a host keeps a service running: a systemd unit and a launchd agent, as templates.

Both give the program the same environment file: values in double quotes, which systemd (EnvironmentFile=) and sh
read alike. A plist would show the environment to everybody, so launchd's program is a shell that reads the file.
https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html, launchd.plist(5)
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.lab.app import App
from blumeops.lab.quantities import size_text
from blumeops.render.ansible import podman
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.speak import account
from blumeops.render.ansible.words import Expression, Said, in_file, in_plist, in_unit
from blumeops.render.telemetry.view import derives

_PRIVILEGED = 1024
_HARDENED = """\
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
ProtectControlGroups=true
ProtectKernelModules=true
ProtectKernelTunables=true
RestrictSUIDSGID=true
LockPersonality=true
UMask=0077
"""
_RUN = 'set -a; . "$0"; set +a; exec "$@"'
_RUN_AND_TRANSLATE = (
    'set -a; . "$0"; set +a; "$@" & pid=$!; trap "told=1; kill -{signal} $pid" TERM; '
    'while told=; wait "$pid"; code=$?; [ "$told" ]; do :; done; exit "$code"'
)
"""launchd ends programs with TERM; a program that wants another signal gets it from its shell. A wait that the
signal interrupted is done again, until the program is gone and the code is its own. (What a shell starts with `&`
ignores INT and QUIT until it says otherwise, as each program does that is to be ended by one of them.)"""


_ESCAPED = r"""regex_replace('([\\\\"$`])', '\\\\\\1')"""


def env_template(role: Role) -> str:
    """The environment file, read by systemd and by sh: within double quotes both take `\\` before these four only."""
    chosen = f" if name is not match({role.name_of('clients_own')} | join('|'))" if role.contained else ""
    return (
        f"{{% for name, value in {role.name_of('env')}.items(){chosen} %}}\n"
        f'{{{{ name }}}}="{{{{ value | {_ESCAPED} }}}}"\n'
        "{% endfor %}\n"
    )


def systemd_unit(role: Role) -> str:
    """The template of `<service>.service`."""
    app, name, say, service = role.app, role.name, role.say, role.service
    on_host = [need for need in service.needs if role.lab.services[need].host == service.service.host]
    after = ["network-online.target", *(f"{need}.service" for need in on_host)]
    mounts: list[Said] = [(say.own("mounts", mount),) for mount in service.service.mounts]
    if role.backups.share and not role.backups.by_ssh:
        mounts.append((Expression(role.name_of("share"), tame=False),))
    about = " ".join((f"{app.about} ({name})" if app.about else name).split()).replace("%", "%%")
    resources = service.service.resources or app.resources
    whose = [
        f"User={account(name)}",
        f"Group={account(name)}",
        *(["SupplementaryGroups=systemd-journal"] if derives(service, "collector") else []),  # it reads all lines
    ]
    started = [
        f"ExecStart={_words([say(text) for text in role.wiring.command])}",
        *([f"ExecReload={_words([say(text) for text in role.reload])}"] if role.reload else []),
    ]
    lines = [
        "[Unit]",
        f"Description={in_file((about,))}",
        f"Wants={' '.join(after)}",
        f"After={' '.join(after)}",
        *([f"RequiresMountsFor={_words(mounts)}"] if mounts else []),
        "",
        "[Service]",
        f"Type={'oneshot' if role.job else 'notify' if role.contained else 'exec'}",
        *([] if role.contained else whose),
        f"EnvironmentFile={_words([(say.own('etc'), '/env')])}",
        f"ExecSearchPath={_words([(say.own('path'),)])}",
        *(podman.Container(role).lines(_words) if role.contained else started),
        *(["Restart=on-failure", "RestartSec=5s"] if not role.job else []),
        f"KillSignal=SIG{app.stop.signal}",
        # Of a container conmon alone is told: what takes its network down afterwards is in the group too.
        f"KillMode={'process' if role.contained else 'mixed'}",
        f"TimeoutStopSec={app.stop.within:g}s",
        *([f"TimeoutStartSec={limit:g}s"] if role.job and (limit := resources.time) else []),
        *([f"MemoryMax={size_text(memory).removesuffix('i')}"] if (memory := resources.memory) else []),
    ]
    # Podman is root, and what it starts is confined by its words.
    confined = ["NoNewPrivileges=true", ""] if role.contained else [*_confined(role, mounts), _HARDENED]
    end = "\n[Install]\nWantedBy=multi-user.target\n" if not role.job else ""
    return "\n".join([*lines, *confined]) + end


def _confined(role: Role, mounts: list[Said]) -> list[str]:
    """What a program of the host may do."""
    writable = [(role.say.own("state", folder),) for folder in role.folders]
    wanted = ["CAP_NET_BIND_SERVICE"] if any(port.port < _PRIVILEGED for port in role.service.ports.values()) else []
    wanted += ["CAP_DAC_READ_SEARCH"] if role.backups.makes else []  # it reads what other accounts keep
    capability = " ".join(wanted)
    return [
        f"RuntimeDirectory={role.name}",
        "RuntimeDirectoryMode=0700",
        *([f"ReadWritePaths={_words([*writable, *mounts])}"] if writable or mounts else []),
        f"CapabilityBoundingSet={capability}",
        *([f"AmbientCapabilities={capability}"] if capability else []),
    ]


def systemd_timer(role: Role) -> str:
    """`<service>.timer` of a job: once a day, later when the host was off."""
    hour, minute = role.at
    return (
        f"[Unit]\nDescription=Run {role.name} every day\n\n"
        f"[Timer]\nOnCalendar=*-*-* {hour:02}:{minute:02}:00\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def launchd_plist(role: Role) -> str:
    """The content of the agent's plist, a template. It limits neither memory nor time: launchd does not."""
    app, say = role.app, role.say
    words: list[Said] = [("/bin/sh",), ("-c",), (_run(app),), (say.own("etc"), "/env"), *map(say, role.wiring.command)]
    log, path = _string((say.own("log"),)), f"<dict><key>PATH</key>{_string((say.own('path'),))}</dict>"
    if role.job:
        times = zip(("Hour", "Minute"), role.at, strict=True)
        calendar = "".join(f"<key>{unit}</key><integer>{number}</integer>" for unit, number in times)
        when = [("StartCalendarInterval", f"<dict>{calendar}</dict>")]
    else:
        when = [("RunAtLoad", "<true/>"), ("KeepAlive", "<dict><key>SuccessfulExit</key><false/></dict>")]
    entries = [
        ("Label", _string((say.own("label"),))),
        ("ProgramArguments", "<array>\n" + "".join(f"    {_string(word)}\n" for word in words) + "  </array>"),
        ("EnvironmentVariables", path),
        *when,
        ("ExitTimeOut", f"<integer>{max(1, round(app.stop.within))}</integer>"),
        ("Umask", "<integer>63</integer>"),  # 0077
        ("StandardOutPath", log),
        ("StandardErrorPath", log),
    ]
    return "<dict>\n" + "".join(f"  <key>{key}</key>\n  {value}\n" for key, value in entries) + "</dict>\n"


def _run(app: App) -> str:
    return _RUN if app.stop.signal == "TERM" else _RUN_AND_TRANSLATE.format(signal=app.stop.signal)


def _words(words: Iterable[Said]) -> str:
    return " ".join(in_unit(word) for word in words)


def _string(said: Said) -> str:
    return f"<string>{in_plist(said)}</string>"
