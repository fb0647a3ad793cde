"""The routes of the proxy as a Caddyfile, in pieces: where an upstream is, each engine says.

At site `home` a route is a site block. At site `here` none is: names are looked up in folders that the engine keeps,
for each request, so that no change of a service changes the Caddyfile. A reload closes idle connections, and on Linux
forgets those that nobody accepted yet (Caddy opens its port anew, with SO_REUSEPORT).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from blumeops.facts.access.identities import TcpRoute
from blumeops.facts.derive import Facts, Route
from blumeops.facts.parts import Folder, Listen, PagesFolder, Text, UpstreamsFolder, joined
from blumeops.lab.model import Lab
from blumeops.render.page import AGAIN, POLICY

STREAMS = "stream_close_delay 24h"
"""A WebSocket outlives a reload, and no longer than that. Caddy before 2.7 does not know it."""
METRICS = "metrics"
"""The port on which the proxy tells how it does, where its app has one."""


def caddyfile(
    lab: Lab,
    facts: Facts,
    domain: str,
    port: int,
    certificates: str,
    upstream: Callable[[Route], Text | None],
    *,
    tcp: Sequence[tuple[TcpRoute, Text]] = (),
    guarded: bool = False,
    wildcard: bool = False,
) -> Text:
    """For site `home`: one site block a route, in the order of names.

    `guarded`: only what comes by an address of the tailnet or of loopback is answered. The program listens on all
    addresses, and whoever knows a name can ask for it at any of them: from the home network, past the tailnet's policy.

    `tcp`: the numbers at which bytes are passed on as they are, each with the address that they go to.

    `certificates`: the lines of the `tls` directive that every block has; with `wildcard` one for all names has it, and
    Caddy (2.10 or later) takes its certificate for each of them. `upstream` says what follows
    `reverse_proxy`; None leaves the route out. What Caddy itself cannot answer, since the upstream is down, becomes a
    page that says so, with status 503. The admin endpoint is a socket in the folder for sockets.
    """
    blocks = list(_options(lab, facts, _tcp(lab, tcp, guarded=guarded)))
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
            "\treverse_proxy ", to, "\n", _when_down(route.service), "}\n",
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
"""No braces but ours: Caddy would take them for placeholders. Nothing of the request is in it, but for a name that can
be one."""
_UNKNOWN = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>no such name</title><body style="font-family: sans-serif; margin: 4em auto; max-width: 32em">'
    "<h1>Nothing has this name</h1><p>The proxy works, but no service of this lab is called so, or it is so new that "
    "it was not looked at yet.</p></body></html>"
)


def _options(lab: Lab, facts: Facts, more: Iterable[Text | str] = ()) -> Iterator[Text | str]:
    """The global options, `more` among them, and the site of the proxy's own metrics."""
    yield "{\n\tadmin unix/"
    yield (Folder("run"),)
    yield "/admin.sock\n\tauto_https disable_redirects\n\tskip_install_trust\n\tgrace_period 10s\n"
    yield from more
    proxy = facts.services.get(lab.settings.network.proxy)
    if not proxy or METRICS not in proxy.app.ports:
        yield "}\n"
        return
    yield "\tservers {\n\t\tmetrics\n\t}\n}\n\n# Metrics, for collectors beside it\nhttp://:"  # Caddy 2.6 reads it too
    yield (Listen(METRICS, "port"),)
    yield " {\n\tbind "
    yield (Listen(METRICS, "host"),)
    yield "\n\tmetrics\n}\n"


_ERRORS = (
    "\thandle_errors {\n"
    "\t\t@down expression `{err.status_code} >= 500`\n"
    "\t\thandle @down {\n"
    '\t\t\theader Content-Type "text/html; charset=utf-8"\n'
    "\t\t\theader Cache-Control no-store\n"
    f"\t\t\theader Retry-After {AGAIN}\n"
)
"""What is answered to errors of Caddy's own: those that an upstream answers are passed on as they are."""


def _when_down(service: str) -> str:
    return f"{_ERRORS}\t\t\trespond `{_PAGE.format(name=html.escape(service))}` 503\n\t\t}}\n\t}}\n"


_EVERY_NAME = """
# Every name: its upstream and its page are files, looked up for each request
https://*.DOMAIN {
	tls internal
	map {http.request.host.labels.LABEL} {blumeops.name} {
		~^[a-z0-9-]+$ ${0}
		default _
	}
	map {http.matchers.file.relative} {blumeops.port} {
		~/([0-9]+)$ ${1}
	}
	@upstream file {
		root "<upstreams>"
		try_files "/{blumeops.name}/*"
		try_policy first_exist_fallback
	}
	handle @upstream {
		reverse_proxy 127.0.0.1:{blumeops.port} {
			STREAMS
		}
	}
	@page file {
		root "<pages>"
		try_files "/{blumeops.name}.html"
	}
	handle @page {
		error 503
	}
	handle {
		header Content-Type "text/html; charset=utf-8"
		respond `UNKNOWN` 404
	}
ERRORS			header Content-Security-Policy "POLICY"
			handle @page {
				method GET
				request_header -If-*
				request_header -Range
				rewrite * /{blumeops.name}.html
				file_server {
					root "<pages>"
					status 503
				}
			}
			respond `DOWN` 503
		}
	}
}
"""
"""Words in capitals are filled in. `blumeops.name` and `blumeops.port` are placeholders of ours."""


def looked_up(lab: Lab, facts: Facts, domain: str, port: int) -> Text:
    """For site `here`: one site block for all names, which knows no service.

    A name's upstream is the name of a file, `UPSTREAMS/NAME/8123`: a matcher of Caddy's can look for a file whose path
    has a part of the request in it, while no placeholder reads one. Into the path comes one label, if it can be a name.
    With `first_exist_fallback` the file is not looked for a second time, when it may be another. What has no upstream,
    or one that does not answer, has a page of its own, or else one without a reason, whatever the method is; a name
    without either is nobody's. A stream may outlive the configuration with which it began.
    """
    filled = {
        "DOMAIN": f"{domain}:{port}" if port != 443 else domain, "LABEL": str(domain.count(".") + 1), "ERRORS": _ERRORS,
        "STREAMS": STREAMS,
        "UNKNOWN": _UNKNOWN, "POLICY": POLICY, "DOWN": _PAGE.format(name="{blumeops.name}"),
    }  # fmt: skip
    text = re.sub("|".join(filled), lambda word: filled[word[0]], _EVERY_NAME)
    folders: dict[str, Text] = {"<upstreams>": (UpstreamsFolder(),), "<pages>": (PagesFolder(),)}
    pieces = re.split(f"({'|'.join(folders)})", text)
    return joined(*_options(lab, facts), *(folders.get(piece, piece) for piece in pieces))
