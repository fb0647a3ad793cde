"""One service's Application from a branch, for as long as somebody looks at it; every other file stays as it is.

What enters: an Application as it is rendered, and a branch. What leaves: the same with its folder taken from that
branch. Rendered without, it is back.
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.base.errors import UserError
from blumeops.render.kubernetes.argocd import MANIFESTS
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site

CODE = "BLU810"


def known(site: Site, names: Iterable[str]) -> None:
    """Raise UserError `BLU810` for a service that is not there, or that Argo CD does not deploy."""
    for name in names:
        service = site.lab.services.get(name)
        if service is None:
            import difflib  # few names are wrong

            near = difflib.get_close_matches(name, site.lab.services, n=1)
            hint = f"did you mean {near[0]}?" if near else "`blumeops show` lists the services"
            raise UserError(CODE, name, "is no service of this lab", hint)
        if service.cluster is None:
            host = service.host or "HOST"
            message = f"is on the host {host}, where Argo CD deploys nothing"
            hint = (
                "check out the branch, render it, and see what its playbook would change: "
                f"ansible-playbook {host}.yml --tags {name} --check --diff"
            )
            raise UserError(CODE, name, message, hint)


def at_branch(application: Manifest, name: str, branch: str) -> Manifest:
    """The Application of the service `name` from `branch`.

    Raises UserError `BLU810` where no folder of it is in Git: a chart's version and values are in the Application.
    """
    spec = application["spec"]
    sources = spec.get("sources") or [spec["source"]]
    path = f"{MANIFESTS}/{name}"
    if not any(source.get("path") == path for source in sources):
        hint = f"render the branch itself, and apply its argocd/apps/{name}.yaml"
        raise UserError(CODE, name, "is a chart alone: all that a branch could change is in its Application", hint)
    moved = [{**each, "targetRevision": branch} if each.get("path") == path else each for each in sources]
    told = {"sources": moved} if "sources" in spec else {"source": moved[0]}
    return {**application, "spec": {**spec, **told}}
