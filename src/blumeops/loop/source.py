"""What a revision says of the remote that is followed, with the secrets that its SOPS file has for it.

Enters: a revision that was read, the age key, the state folder. Leaves: a `Source`, or None where the lab follows
nothing. A token in the file `remote-token` of the state folder counts before the reference: the way back when the
token that is in Git has lapsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.forge.api import Api
from blumeops.forge.remote import Remote
from blumeops.forge.statuses import api_of
from blumeops.lab.remotes import parse_remote
from blumeops.lab.settings import Gitops
from blumeops.loop.revision import Revision, store_of
from blumeops.secrets.references import Reference
from blumeops.secrets.stores import Stores

TOKEN_FILE = "remote-token"  # noqa: S105  # a file's name


@dataclass(frozen=True, slots=True)
class Source:
    """What is followed, and how."""

    remote: Remote
    every: float = 300.0
    api: Api | None = None
    token_reference: str = ""
    webhook: str = field(default="", repr=False)
    problem: str = ""
    """A secret that is named and cannot be had."""


def source_of(revision: Revision, stores: Stores, state: Path) -> Source | None:
    """The source that the revision names."""
    gitops = revision.checked.lab.settings.gitops if revision.checked else Gitops()
    if gitops.url is None or leads_into(gitops.url, state):
        return None
    values, problem = _secrets(revision, stores, [gitops.token, gitops.webhook])
    token = _own_token(state) or values.get(gitops.token or "", "")
    return Source(
        Remote(gitops.url, gitops.branch, token), gitops.every, api_of(gitops), gitops.token or "",
        values.get(gitops.webhook or "", ""), "" if token and not gitops.webhook else problem,
    )  # fmt: skip


def source_as_before(url: str, branch: str, reference: str, revision: Revision, stores: Stores, state: Path) -> Source:
    """The source that was followed last, for a revision that cannot be read any more."""
    values, problem = _secrets(revision, stores, [reference or None])
    return Source(
        Remote(url, branch, _own_token(state) or values.get(reference, "")), token_reference=reference, problem=problem
    )


def leads_into(url: str, state: Path) -> bool:
    """Whether the address is of this very site's repository."""
    address = parse_remote(url)
    return address.scheme == "file" and Path(address.path).resolve().is_relative_to(state.resolve())


def _secrets(revision: Revision, stores: Stores, names: list[str | None]) -> tuple[dict[str, str], str]:
    wanted = {name: Reference.parse(name) for name in names if name}
    if not wanted:
        return {}, ""
    try:
        found = store_of(revision, stores).read(wanted.values())
    except BlumeError as error:
        return {}, str(error)
    missing = sorted(name for name, reference in wanted.items() if reference not in found)
    problem = f"BLU627 {missing[0]}: is not in the SOPS file; add it there with `sops`" if missing else ""
    return {name: found[reference] for name, reference in wanted.items() if reference in found}, problem


def _own_token(state: Path) -> str:
    try:
        return (state / TOKEN_FILE).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
