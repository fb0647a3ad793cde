"""The parts of a cluster: what their charts are told, and how what opens Connect gets there without a file."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render
from tests.written import passed

LAB = Path(__file__).resolve().parents[2] / "labs" / "blumeops"


@cache
def example() -> FileTree:
    """The files of the example."""
    checked = check_folder(LAB).passed
    assert checked is not None
    return render(checked)


def values(tree: FileTree, name: str) -> dict[str, Any]:
    """What the chart of a service is told."""
    sources = yaml.safe_load(tree.text(f"argocd/apps/{name}.yaml"))["spec"]["sources"]
    found = next(source for source in sources if source["name"] == "chart")["helm"].get("valuesObject", {})
    assert isinstance(found, dict)
    return found


PARTS = ("argocd", "cloudnative-pg", "external-secrets", "onepassword-connect", "tailscale-operator")


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_pinned_and_told_something(name: str) -> None:
    """Its chart has one version, and what others rely on is said and not hoped for."""
    (chart, *_) = yaml.safe_load(example().text(f"argocd/apps/{name}.yaml"))["spec"]["sources"]
    assert chart["targetRevision"][0].isdigit()
    assert not {"*", "x", ">", "^", "~"} & set(chart["targetRevision"])
    assert values(example(), name)


def test_argo_cd_is_found_by_its_ingress() -> None:
    """The server's Service has the name that the Ingress leads to; TLS ends before it, so it speaks HTTP."""
    ingress = yaml.safe_load(example().text("argocd/manifests/argocd/ingress.yaml"))
    told = values(example(), "argocd")
    backend = {"name": f"{told['fullnameOverride']}-server", "port": {"number": 80}}
    assert ingress["spec"]["defaultBackend"]["service"] == backend
    assert told["configs"]["params"]["server.insecure"] is True


def test_external_secrets_finds_connect() -> None:
    """The store names the Service, the port and the Secret that Connect's chart is told of, or that a person makes."""
    told = values(example(), "onepassword-connect")["connect"]
    store = yaml.safe_load(example().text("argocd/manifests/onepassword-connect/clustersecretstore.yaml"))
    provider = store["spec"]["provider"]["onepassword"]
    at = "onepassword-connect.svc"
    assert provider["connectHost"] == f"http://{told['applicationName']}.{at}:{told['api']['httpPort']}"
    token = provider["auth"]["secretRef"]["connectTokenSecretRef"]
    made = f"create secret generic {token['name']} -n {token['namespace']} --from-file={token['key']}=/dev/stdin"
    assert made in example().text("argocd/README.md")
    made = f"generic {told['credentialsName']} -n onepassword-connect --from-file={told['credentialsKey']}=/dev/stdin"
    assert made in example().text("argocd/README.md")


def test_each_vault_has_a_store(tmp_path: Path) -> None:
    """External Secrets takes an item from the first of a store's vaults that has its title: it must be the only one. A
    vault's name need not be one of an object."""
    files = {
        "lab.yaml": (
            "lab: x\nsecrets: {vault: main}\nhosts: {box: {os: linux, role: compute}}\nclusters: {pods: {host: box}}\n"
        ),
        "apps/tool/app.yaml": (
            "app: tool\nversion: '1'\nsources: [{container: registry.example.org/tool}]\nstate: none\n"
            "secrets: {a: {}, b: {}}\nenv: {A: '{{ secrets.a }}', B: '{{ secrets.b }}'}\n"
        ),
        "services/s.yaml": (
            "onepassword-connect: {cluster: pods}\n"
            "both: {app: tool, cluster: pods, secrets: {a: op://Our Family/item/a, b: op://main/item/b}}\n"
            "other: {app: tool, cluster: pods, secrets: {a: op://other/item/a, b: op://other/item/b}}\n"
        ),
    }
    tree = render(passed(tmp_path, files))
    text = tree.text("argocd/manifests/onepassword-connect/clustersecretstore.yaml")
    vaults = {
        each["metadata"]["name"]: each["spec"]["provider"]["onepassword"]["vaults"] for each in yaml.safe_load_all(text)
    }
    (family,) = vaults.keys() - {"onepassword", "onepassword-other"}
    assert re.fullmatch("onepassword-our-family-[0-9a-f]{8}", family)
    assert vaults == {"onepassword": {"main": 1}, "onepassword-other": {"other": 1}, family: {"Our Family": 1}}
    assert asked(tree, "both") == ("onepassword", [family, None])
    assert asked(tree, "other") == ("onepassword-other", [None, None])
    assert f"with a ClusterSecretStore `{family}` and `onepassword`, makes its Secrets" in tree.text("argocd/README.md")


def asked(tree: FileTree, service: str) -> tuple[str, list[str | None]]:
    """The store that an ExternalSecret asks, and the other one that each of its values is asked for."""
    (made,) = yaml.safe_load_all(tree.text(f"argocd/manifests/{service}/externalsecret.yaml"))
    others = [each.get("sourceRef", {}).get("storeRef", {}).get("name") for each in made["spec"]["data"]]
    return made["spec"]["secretStoreRef"]["name"], others


def test_the_operator_of_tailscale_gets_its_credentials() -> None:
    """By External Secrets, under the name and keys that its chart reads."""
    (made,) = yaml.safe_load_all(example().text("argocd/manifests/tailscale-operator/externalsecret.yaml"))
    assert made["metadata"]["name"] == made["spec"]["target"]["name"] == "operator-oauth"
    assert set(made["spec"]["target"]["template"]["data"]) == {"client_id", "client_secret"}


def test_connect_is_opened_to_whom_somebody_names(tmp_path: Path) -> None:
    """The proxy would lead every machine to it: it has a name on the tailnet only where `allow:` says so."""
    assert "argocd/manifests/onepassword-connect/ingress.yaml" not in example().files
    lab = "lab: x\npeople: {you: {login: you@example.org}}\nnetwork: {tailnet: example.ts.net}\n"
    lab += "hosts: {box: {os: linux, role: compute}}\nclusters: {pods: {host: box}}\n"
    services = "onepassword-connect: {cluster: pods, allow: [you]}\n"
    tree = render(passed(tmp_path, {"lab.yaml": lab, "services/s.yaml": services}))
    assert "argocd/manifests/onepassword-connect/ingress.yaml" in tree.files


def test_the_services_own_words_are_laid_on_the_values(tmp_path: Path) -> None:
    """What a person wants otherwise is said once, on the service; the rest stays."""
    block = "{spec: {sources: [{name: chart, helm: {valuesObject: {dex: {enabled: true}}}}]}}"
    tree = render(passed(tmp_path, {"services/s.yaml": f"argocd: {{cluster: pods, kubernetes: {block}}}\n"}))
    told = values(tree, "argocd")
    assert told["dex"] == {"enabled": True}
    assert told["notifications"] == {"enabled": False}


OP = """#!/bin/sh
[ "$1 $2" = "read --no-newline" ] || exit 1
case $3 in
  */credentials) printf '{"a":\\n"quote \\\\" and $HOME"}' ;;
  */token) printf 'eyJ.to"ken' ;;
  *) exit 1 ;;
esac
"""
KUBECTL = """#!/bin/sh
case $* in
  "create secret"*) exec "%s" "$@" --dry-run=client --output=json ;;
esac
"""


def test_the_commands_put_each_value_into_its_secret(tmp_path: Path) -> None:
    """As they stand in README.md, with the real kubectl: the values arrive whole, and no file is left anywhere."""
    lines = example().text("argocd/README.md").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("    kubectl create namespace"))
    commands = [line for line in lines[first:] if line.startswith("    ")]
    programs = tmp_path / "bin"
    programs.mkdir()
    kubectl = Path(sys.executable).parent / "kubectl"
    for name, text in (("op", OP), ("kubectl", KUBECTL % kubectl)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        ["sh", "-eu"], input="\n".join(commands), cwd=work, capture_output=True, text=True, check=True,
        env={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(work)},
    )  # fmt: skip
    decoder, text, made = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        each, end = decoder.raw_decode(text)
        made.append(each)
        text = text[end:].strip()
    assert [(each["metadata"]["name"], each["metadata"]["namespace"]) for each in made] == [
        ("op-credentials", "onepassword-connect"), ("onepassword-token", "onepassword-connect"),
    ]  # fmt: skip
    credentials = base64.b64decode(made[0]["data"]["1password-credentials.json"])
    assert base64.b64decode(credentials).decode() == '{"a":\n"quote \\" and $HOME"}'
    assert b"\n" not in credentials
    assert base64.b64decode(made[1]["data"]["token"]).decode() == 'eyJ.to"ken'
    assert list(work.iterdir()) == []
