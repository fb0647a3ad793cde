"""Who answers in the namespaces: a listener for every port of every service, each with its own name, and real Caddy.

    a native service       its port, on the loopback or on all addresses of its host, as its rendered files say
    a service of a cluster its port, on an address of its own among the pods
    its ingress            443 with a certificate for its name on the tailnet, and leads there; other ports as they are
    a Tailscale Service    what its host's serve file says
    the proxy              Caddy on its host, with the Caddyfile that is rendered for it
    a device               SSH and shares, on all addresses

Before a service answers it calls what it cannot work without, its database and the shares that it mounts, from where it
is and by the tailnet or its cluster: so what it needs is let through, and is lost with what carries it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jinja2

from blumeops.facts.access.identities import HTTPS
from blumeops.render.ansible import render as render_ansible
from blumeops.render.ansible.speak import EVERYWHERE, LOOPBACK, Speaker
from blumeops.render.tailscale import render as render_tailscale

from .certificates import Authority
from .namespaces import Namespaces
from .world import INTERNET, SHARED_BY, World

API = 8443
"""Of a minikube, on the loopback of its host."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(name: str, works: Callable[[], Awaitable[bool]] | None = None) -> Handler:
    """Says its name to whoever asks by HTTP; 500 where it does not work."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            line = b"200 OK" if works is None or await works() else b"500 Cannot"
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (line, len(name))
            writer.write(head + name.encode())
            await writer.drain()
        writer.close()

    return handle


def relay(spaces: Namespaces, place: str, address: str, port: int) -> Handler:
    """Passes bytes on, from a namespace to an address."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = spaces.socket(place, socket.AF_INET)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(there, (address, port)), 10)
            upstream = await asyncio.open_connection(sock=there)
        except OSError:
            there.close()
            writer.close()
            return
        await asyncio.gather(copy(reader, upstream[1]), copy(upstream[0], writer))

    return handle


class Answers:
    """All listeners of a world; they answer while the loop runs in which they were opened."""

    def __init__(self, world: World, spaces: Namespaces, authority: Authority) -> None:
        self.world, self.spaces, self.authority = world, spaces, authority
        self.servers: dict[str, list[asyncio.Server]] = {}
        """By who answers."""

    async def open(self) -> None:
        """Open all listeners but Caddy's."""
        world, facts = self.world, self.world.checked.facts
        for name in world.own:
            if not name.startswith(("egress:", "service:", "svc:")):
                for port in world.device_ports(name):
                    await self._listen(name, name, "", port, answer(name))
        for name, cluster in world.lab.settings.clusters.items():
            await self._listen(f"cluster:{name}", f"host:{cluster.host}", LOOPBACK, API, answer(f"cluster:{name}"))
        await self._listen(INTERNET, INTERNET, "", HTTPS, answer(INTERNET))
        for name, service in facts.services.items():
            if name == world.lab.settings.network.proxy:
                continue
            for key, described in service.ports.items():
                port = described.port
                if service.service.cluster:
                    where, at = f"cluster:{service.service.cluster}", world.pods[name]
                else:
                    where = f"host:{service.host}"
                    at = Speaker(world.checked, service, set()).listens(key)
                    at = "" if at == EVERYWHERE else at
                await self._listen(name, where, at, port, answer(name, self._works(name, where)))
                if f"service:{name}" in world.own:
                    await self._ingress(name, key, port)
        await self._served()

    async def close(self) -> None:
        """Close them all."""
        for name in list(self.servers):
            self.silence(name)
        await asyncio.sleep(0)

    def silence(self, name: str) -> None:
        """Close the listeners of one."""
        for server in self.servers.pop(name, []):
            server.close()

    def _works(self, name: str, place: str) -> Callable[[], Awaitable[bool]] | None:
        """Whether a service gets to what it needs."""
        world, service = self.world, self.world.checked.facts.services[name]
        needed = []
        for share in service.service.mounts.values():
            host, _, folder = share.partition("/")
            by = next(by for by in world.lab.settings.hosts[host].shares[folder].by if by != "ssh")
            needed.append((world.own[f"host:{host}"][0], SHARED_BY[by]))
        if service.database:
            provider = world.checked.facts.services[service.database.provider]
            assert provider.service.cluster == service.service.cluster  # the example's: no way leads outside
            needed.append((world.pods[provider.name], provider.ports[service.database.port].port))

        async def calls() -> bool:
            return all([await self._reaches(place, *each) for each in needed])

        return calls if needed else None

    async def _reaches(self, place: str, address: str, port: int) -> bool:
        with self.spaces.socket(place, socket.AF_INET) as there:
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(there, (address, port)), 1)
            except OSError:
                return False
            return True

    async def _ingress(self, name: str, key: str, port: int) -> None:
        """As the Tailscale operator makes it: pages by 443 with its certificate, all else by its own port."""
        label, place = self.world.checked.facts.services[name].label, f"service:{name}"
        leads = relay(self.spaces, place, self.world.pods[name], port)
        four, six = self.world.own[place]
        web = "http" in self.world.checked.facts.services[name].ports
        if web and key != "http":
            return
        context = self.authority.server(f"{label}.{self.world.access.ids.tailnet}") if web else None
        for address in (four, six):
            await self._listen(place, place, address, HTTPS if web else port, leads, context)

    async def _served(self) -> None:
        """What hosts serve as Tailscale Services."""
        for path, content in render_tailscale(self.world.checked).files.items():
            if not path.startswith("tailscale/serve/"):
                continue
            host = f"host:{Path(path).stem}"
            for name, service in json.loads(content)["services"].items():
                for way, to in service["endpoints"].items():
                    kind, _, end = to.partition("://")
                    address, _, port = end.partition(":")
                    leads = relay(self.spaces, host, address, int(port))
                    label = name.removeprefix("svc:")
                    full = f"{label}.{self.world.access.ids.tailnet}"
                    context = self.authority.server(full) if kind == "http" else None
                    for own in self.world.own[name]:
                        await self._listen(name, name, own, int(way.removeprefix("tcp:")), leads, context)

    async def _listen(
        self, name: str, place: str, at: str, port: int, handler: Handler, context: ssl.SSLContext | None = None
    ) -> None:
        """`at`: an address, or empty for all."""
        family = socket.AF_INET6 if ":" in at or not at else socket.AF_INET
        made = self.spaces.socket(place, family)
        if not at:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((at or "::", port))
        server = await asyncio.start_server(handler, sock=made, ssl=context, backlog=512)
        self.servers.setdefault(name, []).append(server)


@contextmanager
def caddy(world: World, spaces: Namespaces, folder: Path, authority: Authority, program: Path) -> Iterator[Path]:
    """The real proxy on its host while the block lasts; the root certificate of its own authority.

    Its Caddyfile is the one that is rendered for its host, but for the DNS provider: certificates are its own. Names
    of the tailnet come from a hosts file that it alone sees.
    """
    proxy = world.access.ids.proxy
    assert proxy is not None
    template = render_ansible(world.checked).files[f"ansible/roles/{proxy.name}/templates/Caddyfile.j2"].decode()
    network = world.lab.settings.network
    if network.dns:
        plugin = f"tls {{\n\t\tdns {network.dns.provider} {{env.DNS_TOKEN}}\n\t}}"
        assert plugin in template
        template = template.replace(plugin, "tls internal")
    config, hosts = folder / "Caddyfile", folder / "hosts"
    config.write_text(jinja2.Template(template).render({f"{proxy.name}_run": str(folder)}) + "\n")
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{world.own[end][0]} {name}\n" for name, end in magic(world)))
    place = f"host:{proxy.host}"
    argv = [
        *spaces.enter(place), "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts),
        "setpriv", "--pdeathsig", "KILL", str(program), "run", "--config", str(config), "--adapter", "caddyfile",
    ]  # fmt: skip
    env = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    env["SSL_CERT_FILE"] = str(authority.root)
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _until_it_listens(process, spaces, place, folder / "caddy.log")
            yield folder / "caddy/pki/authorities/local/root.crt"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def magic(world: World) -> Iterator[tuple[str, str]]:
    """The names of MagicDNS, each with the node or Tailscale Service that it stands for."""
    tailnet = world.access.ids.tailnet
    for end in world.own:
        kind, _, name = end.partition(":")
        if kind == "service":
            name = world.checked.facts.services[name].label
        if kind in ("host", "service", "svc", "person"):
            yield f"{name.replace('#', '-')}.{tailnet}", end


def _until_it_listens(process: subprocess.Popen[bytes], spaces: Namespaces, place: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with spaces.inside(place):
            test = socket.socket()
        with test, suppress(OSError):
            test.settimeout(1)
            test.connect((LOOPBACK, HTTPS))
            return
        time.sleep(0.05)
    raise AssertionError(f"Caddy does not listen: {log.read_text(errors='replace')[-1500:]}")
