"""The routes of the proxy as a Caddyfile, in pieces: where an upstream is, each engine says."""

from __future__ import annotations

import html
from collections.abc import Callable

from blumeops.facts.derive import Facts, Route
from blumeops.facts.parts import Folder, Text, joined
from blumeops.lab.model import Lab


def caddyfile(
    lab: Lab, facts: Facts, domain: str, port: int, certificates: str, upstream: Callable[[Route], Text | None]
) -> Text:
    """One site block a route, in the order of names.

    `certificates`: the lines of the `tls` directive that every block has. `upstream` says what follows
    `reverse_proxy`; None leaves the route out. What Caddy itself cannot answer (the upstream is down, or its file is
    not there) becomes a page that says so, with status 503. The admin endpoint is a socket in the folder for sockets.
    """
    blocks: list[Text | str] = [
        "{\n\tadmin unix/", (Folder("run"),), "/admin.sock\n\tauto_https disable_redirects\n",
        "\tskip_install_trust\n\tgrace_period 10s\n}\n",
    ]  # fmt: skip
    listener = f":{port}" if port != 443 else ""
    routed = [(route, to) for route in facts.routes if (to := upstream(route)) is not None]
    if not routed:  # without a site Caddy would not listen at all, and be taken for ill
        blocks.append(f"\nhttps://{domain}{listener} {{\n\t{certificates}\n\trespond `no service is routed` 404\n}}\n")
    for route, to in routed:
        address = f"https://{route.label}.{domain}{listener}"
        place = lab.service_place(route.service)
        blocks += [
            f"\n# {route.service}, in {place.file!r}\n{address} {{\n\t{certificates}\n",
            "\treverse_proxy ", to, "\n", _when_down(route.service), "}\n",
        ]  # fmt: skip
    return joined(*blocks)


_PAGE = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>{name} is down</title><body style="font-family: sans-serif; margin: 4em auto; max-width: 32em">'
    "<h1>{name} is down</h1><p>The proxy works, but {name} does not answer: it has stopped, is starting, or does not "
    "run here. This page is the proxy's, not {name}'s.</p></body></html>"
)
"""No braces but ours: Caddy would take them for placeholders. Nothing of the request is in it."""


def _when_down(service: str) -> str:
    """What a site block answers to errors of Caddy's own: those that an upstream answers are passed on as they are."""
    page = _PAGE.format(name=html.escape(service))
    return (
        "\thandle_errors {\n"
        "\t\t@down expression `{err.status_code} >= 500`\n"
        "\t\thandle @down {\n"
        '\t\t\theader Content-Type "text/html; charset=utf-8"\n'
        "\t\t\theader Cache-Control no-store\n"
        "\t\t\theader Retry-After 5\n"
        f"\t\t\trespond `{page}` 503\n"
        "\t\t}\n"
        "\t}\n"
    )
