"""The routes of the proxy as a Caddyfile, in pieces: where an upstream is, each engine says."""

from __future__ import annotations

from collections.abc import Callable

from blumeops.facts.derive import Facts, Route
from blumeops.facts.parts import Folder, Text, joined
from blumeops.lab.model import Lab


def caddyfile(
    lab: Lab, facts: Facts, domain: str, port: int, certificates: str, upstream: Callable[[Route], Text | None]
) -> Text:
    """One site block a route, in the order of names.

    `certificates`: the lines of the `tls` directive that every block has. `upstream` says what follows
    `reverse_proxy`; None leaves the route out. The admin endpoint is a socket in the folder for sockets.
    """
    blocks: list[Text | str] = [
        "{\n\tadmin unix/", (Folder("run"),), "/admin.sock\n\tauto_https disable_redirects\n",
        "\tskip_install_trust\n\tgrace_period 10s\n}\n",
    ]  # fmt: skip
    for route in facts.routes:
        to = upstream(route)
        if to is None:
            continue
        address = f"https://{route.label}.{domain}" + (f":{port}" if port != 443 else "")
        place = lab.service_place(route.service)
        blocks += [
            f"\n# {route.service}, in {place.file!r}\n{address} {{\n\t{certificates}\n",
            "\treverse_proxy ", to, "\n}\n",
        ]  # fmt: skip
    return joined(*blocks)
