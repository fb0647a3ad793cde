"""BLU62x: the remote that the lab follows can be followed, and what is said of it means something."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab
from blumeops.lab.remotes import is_loopback, parse_remote

NEEDS_URL = ("token", "webhook", "status", "api")


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """`url:` and the fields that go with it."""
    gitops = lab.settings.gitops
    if gitops.url is None:
        for name in NEEDS_URL:
            if getattr(gitops, name) is not None:
                hint = "name the repository by `url:`, or leave this out"
                yield Finding("BLU620", lab.place("gitops", name), f"gitops.{name}", "is about no remote", hint)
        if gitops.branch != "main":
            message = f"is {gitops.branch}, and the forge of site `here` has `main` alone"
            hint = "name the repository that has it by `url:`, or write main"
            yield Finding("BLU621", lab.place("gitops", "branch"), "gitops.branch", message, hint)
        return
    if gitops.status not in (None, "none") and gitops.token is None:
        message, hint = "needs a token to post with", "name its reference by `token: op://vault/item/field`"
        yield Finding("BLU622", lab.place("gitops", "status"), "gitops.status", message, hint)
    address = parse_remote(gitops.url)
    if address.scheme == "http" and is_loopback(address.host) and (address.port or 80) == lab.settings.here.forge:
        message = "leads to the forge of site `here` itself, which would follow itself"
        hint = "name another repository, or leave `url:` out"
        yield Finding("BLU623", lab.place("gitops", "url"), "gitops.url", message, hint)
