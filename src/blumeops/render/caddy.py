"""The routes of the proxy as a Caddyfile, in pieces: where an upstream is, each engine says."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence

from blumeops.facts.access.identities import TcpRoute
from blumeops.facts.derive import Facts, Route
from blumeops.facts.parts import Folder, Listen, Text, joined
from blumeops.lab.model import Lab
from blumeops.render.page import AGAIN, POLICY

METRICS = "metrics"
"""The port on which the proxy tells how it does, where its app has one."""


def caddyfile(
    lab: Lab,
    facts: Facts,
    domain: str,
    port: int,
    certificates: str,
    upstream: Callable[[Route], Text | None],
    page: Callable[[Route], Text] | None = None,
    *,
    tcp: Sequence[tuple[TcpRoute, Text]] = (),
    guarded: bool = False,
    wildcard: bool = False,
) -> Text:
    """One site block a route, in the order of names.

    `guarded`: only what comes by an address of the tailnet or of loopback is answered. The program listens on all
    addresses, and whoever knows a name can ask for it at any of them: from the home network, past the tailnet's policy.

    `tcp`: the numbers at which bytes are passed on as they are, each with the address that they go to.

    `certificates`: the lines of the `tls` directive that every block has; with `wildcard` one for all names has it, and
    Caddy (2.10 or later) takes its certificate for each of them. `upstream` says what follows
    `reverse_proxy`; None leaves the route out. What Caddy itself cannot answer (the upstream is down, or its file is
    not there) becomes a page that says so, with status 503: the file at the path that `page` says, as long as there is
    one, else a page without a reason. The admin endpoint is a socket in the folder for sockets.
    """
    blocks: list[Text | str] = [
        "{\n\tadmin unix/", (Folder("run"),), "/admin.sock\n\tauto_https disable_redirects\n",
        "\tskip_install_trust\n\tgrace_period 10s\n",
    ]  # fmt: skip
    blocks += _tcp(lab, tcp, guarded=guarded)
    proxy = facts.services.get(lab.settings.network.proxy)
    if proxy and METRICS in proxy.app.ports:
        host, number = Listen(METRICS, "host"), Listen(METRICS, "port")
        blocks.append("\tservers {\n\t\tmetrics\n\t}\n}\n")  # so that both Caddy 2.6 and 2.11 read it
        blocks += [
            "\n# Metrics, for collectors beside it\nhttp://:",
            (number,),
            " {\n\tbind ",
            (host,),
            "\n\tmetrics\n}\n",
        ]
    else:
        blocks.append("}\n")
    if guarded:
        blocks.append(f"\n# Whoever comes by another address than the tailnet's comes past its policy\n{_GUARD}")
    guard = "\timport tailnet\n" if guarded else ""
    listener = f":{port}" if port != 443 else ""
    routed = [(route, to) for route in facts.routes if (to := upstream(route)) is not None]
    if wildcard:
        blocks.append(
            "\n# The certificate of every name, by DNS; no other name is answered\n"
            f"https://*.{domain}{listener} {{\n\t{certificates}\n{guard}\tabort\n}}\n"
        )
    elif not routed:  # without a site Caddy would not listen at all, and be taken for ill
        blocks.append(
            f"\nhttps://{domain}{listener} {{\n\t{certificates}\n{guard}\trespond `no service is routed` 404\n}}\n"
        )
    own = "" if wildcard else f"\t{certificates}\n"
    for route, to in routed:
        address = f"https://{route.label}.{domain}{listener}"
        place = lab.service_place(route.service)
        blocks += [
            f"\n# {route.service}, in {place.file!r}\n{address} {{\n{own}{guard}",
            "\treverse_proxy ", to, "\n", *_when_down(route.service, page(route) if page else None), "}\n",
        ]  # fmt: skip
    return joined(*blocks)


OURS = ("100.64.0.0/10", "fd7a:115c:a1e0::/48", "127.0.0.0/8", "::1")
"""The addresses of Tailscale and of loopback."""
_OURS = "^(100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]|fd7a:115c:a1e0:|127[.]|::1$)"
"""The same, as an address is written."""
_ADDRESS = "{http.request.local.host}"
"""The address that a request came to. Caddy before 2.8 does not know it: there nothing is guarded."""
_GUARD = f'(tailnet) {{\n\t@past expression `{_ADDRESS} != null && !{_ADDRESS}.matches("{_OURS}")`\n\tabort @past\n}}\n'


def _tcp(lab: Lab, routes: Sequence[tuple[TcpRoute, Text]], *, guarded: bool) -> Iterator[Text | str]:
    """The global option of https://github.com/mholt/caddy-l4: a server a number. What none of its routes takes is
    closed."""
    if not routes:
        return
    yield "\tlayer4 {\n"
    for route, to in routes:
        yield f"\t\t# {route.service}, in {lab.service_place(route.service).file!r}\n\t\t:{route.number} {{\n"
        yield f"\t\t\t@tailnet local_ip {' '.join(OURS)}\n\t\t\troute @tailnet {{\n" if guarded else "\t\t\troute {\n"
        yield "\t\t\t\tproxy "
        yield to
        yield "\n\t\t\t}\n\t\t}\n"
    yield "\t}\n"


_PAGE = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>{name} is down</title><body style="font-family: sans-serif; margin: 4em auto; max-width: 32em">'
    "<h1>{name} is down</h1><p>The proxy works, but {name} does not answer: it has stopped, is starting, or does not "
    "run here. This page is the proxy's, not {name}'s.</p></body></html>"
)
"""No braces but ours: Caddy would take them for placeholders. Nothing of the request is in it."""


def _when_down(service: str, page: Text | None) -> list[Text | str]:
    """What a site block answers to errors of Caddy's own: those that an upstream answers are passed on as they are.

    The page's file is read for each request, whatever its method is, as the upstream's is.
    """
    static = _PAGE.format(name=html.escape(service))
    begin = (
        "\thandle_errors {\n"
        "\t\t@down expression `{err.status_code} >= 500`\n"
        "\t\thandle @down {\n"
        '\t\t\theader Content-Type "text/html; charset=utf-8"\n'
        "\t\t\theader Cache-Control no-store\n"
        f"\t\t\theader Retry-After {AGAIN}\n"
    )
    end = f"\t\t\trespond `{static}` 503\n\t\t}}\n\t}}\n"
    if page is None:
        return [begin, end]
    policy = f'\t\t\theader Content-Security-Policy "{POLICY}"\n'
    there = '\t\t\t@page file {\n\t\t\t\troot /\n\t\t\t\ttry_files "'
    return [begin, policy, there, page, '"\n\t\t\t}\n\t\t\trespond @page "{file.', page, '}" 503\n', end]
