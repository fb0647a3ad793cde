"""From a lab's files to the manifests: values come out as they went in, and names are what Kubernetes takes.

Parts of this are tried piece by piece in test_render_kubernetes_text.py, with the real readers in Go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blumeops.base.tree import FileTree
from blumeops.render.kubernetes import render
from blumeops.render.kubernetes.places import object_name
from tests.unit.test_render_kubernetes_text import HOSTILE
from tests.written import passed

APP = """
app: x
version: "1"
sources: [{container: example.org/x}]
ports: {http: 8080}
secrets: {key: {}}
command: [x]
files: {plain: {path: /etc/plain, template: plain}, mixed: {path: /etc/mixed, template: mixed}}
state: none
"""
METACHARACTERS = "ab \n\t'\"\\$(){}%#:&*!|>-?,[]~@`=<.é日🎵\u00a0"
TEXT = (st.text(METACHARACTERS, max_size=30) | st.sampled_from(HOSTILE)).filter(
    lambda text: "{{" not in text and all(char.isprintable() or char in "\n\t" for char in text)
)  # a `{{` is the lab's own, and a file of a lab holds no control characters


def manifests(tree: FileTree) -> Iterator[dict[str, Any]]:
    """Every object, read by a parser of YAML 1.1."""
    for path in tree:
        if path.endswith(".yaml"):
            yield from yaml.safe_load_all(tree.text(path))


def expanded(text: str) -> str:
    """A value as a container gets it: Kubernetes writes `$$` as `$`, and has no variable for `$(NAME)` here."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else f"EXPANDED{found[0]}", text)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(env=TEXT, argument=TEXT, file=TEXT)
def test_each_value_comes_out_as_it_went_in(tmp_path: Path, env: str, argument: str, file: str) -> None:
    """Quotes, newlines, Unicode, what YAML, Kubernetes and Go's templates have a meaning for: in a variable, an
    argument, a file, and a file with a secret in it."""
    number = len(list(tmp_path.iterdir()))
    services = {
        "a": {"cluster": "pods", "app": "x", "env": {"VALUE": env}},
        "b": {"cluster": "pods", "image": "example.org/b:1", "state": "none", "arguments": [argument]},
    }
    lab = passed(tmp_path / str(number), {
        "services/s.yaml": yaml.safe_dump(services, allow_unicode=True, default_style='"'), "apps/x/app.yaml": APP,
        "apps/x/plain": file, "apps/x/mixed": f"{file}\n{{{{ secrets.key }}}}\n{file}",
    })  # fmt: skip
    found = {(each["kind"], each["metadata"]["name"].split("-")[0]): each for each in manifests(render(lab))
             if "metadata" in each and each["metadata"].get("namespace") in ("a", "b")}  # fmt: skip
    container = found["Deployment", "a"]["spec"]["template"]["spec"]["containers"][0]
    assert expanded(container["env"][0]["value"]) == env
    container = found["Deployment", "b"]["spec"]["template"]["spec"]["containers"][0]
    assert expanded(container["args"][0]) == argument
    assert found["ConfigMap", "a"]["data"]["plain"] == file
    template = found["ExternalSecret", "a"]["spec"]["target"]["template"]["data"]["file.mixed"]
    literal = template.replace('{{ "{" }}', "{")  # what Go makes of it is tried with Go
    assert literal == f"{file}\n{{{{ .a_key }}}}\n{file}"


LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOTTED = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
STARTS_WITH_A_LETTER = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
FORM = {
    "Service": STARTS_WITH_A_LETTER,
    "ClusterRole": r"[^/%]+", "ClusterRoleBinding": r"[^/%]+",
    # Shorter than others: what the controllers add to them has to fit into 63.
    "CronJob": r"[a-z0-9-]{1,52}", "StatefulSet": r"[a-z0-9-]{1,52}", "Cluster": r"[a-z0-9-]{1,50}",
    "Job": LABEL, "Deployment": LABEL, "PersistentVolumeClaim": LABEL,
}  # fmt: skip
"""What a name must look like, by kind; for others a domain name. They are the API server's own rules, and
CloudNativePG's: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
VALUE = r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
PORT = r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?"
LONGEST = "s" * 49 + "z"


def labels_of(value: Any) -> Iterator[str]:
    """The values of all labels and selectors in an object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("labels", "matchLabels", "selector") and isinstance(inner, dict):
                yield from (text for text in inner.values() if isinstance(text, str))
            yield from labels_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from labels_of(inner)


@pytest.mark.parametrize("kind", ["service", "job", "database", "operated", "collector"])
def test_the_longest_names_are_legal(tmp_path: Path, kind: str) -> None:
    """A lab, an app, services and keys as long as they may be: every name, label and port is what Kubernetes takes."""
    long = "k" + "_" * 5 + "e" * 56 + "y"
    other = "t" * 49 + "y"
    key = f"{{{long}: 9000, http: 80, a-b_{'c' * 40}: 9001}}"
    app = f"""
app: {LONGEST}
version: "1"
kind: {"job" if kind == "job" else "service"}
sources: [{{container: example.org/x}}]
ports: {key if kind != "job" else "{}"}
state: {{{long}: /data}}
"""
    services: dict[str, Any] = {LONGEST: {"cluster": "pods", "mounts": {long: "nas/music"}}}
    if kind in ("database", "operated"):
        services[other] = {"cluster": "pods", "app": "postgresql"}
        services["u" * 50] = {"cluster": "pods", "app": "miniflux", "database": other}
    if kind == "operated":
        services["cloudnative-pg"] = {"cluster": "pods"}
    if kind == "collector":
        services[other] = {"cluster": "pods", "app": "alloy"}
    lab = f"lab: {'l' * 50}\nhosts:\n  box: {{os: linux, role: compute}}\n"
    lab += "  nas: {os: dsm, role: storage, shares: {music: {path: /m, by: [nfs]}}}\nclusters: {pods: {host: box}}\n"
    made = passed(tmp_path, {
        "lab.yaml": lab, "services/s.yaml": yaml.safe_dump(services), f"apps/{LONGEST}/app.yaml": app,
    })  # fmt: skip
    seen: set[tuple[str, str, str]] = set()
    for each in manifests(render(made)):
        if each["kind"] == "Kustomization":
            continue
        about = each["metadata"]
        identity = each["kind"], about.get("namespace", ""), about["name"]
        assert identity not in seen
        seen.add(identity)
        assert re.fullmatch(FORM.get(each["kind"], DOTTED), about["name"]), identity
        assert len(about["name"]) <= 253
        assert re.fullmatch(STARTS_WITH_A_LETTER, about.get("namespace", "a")), identity
        assert all(re.fullmatch(VALUE, value) for value in labels_of(each)), identity
        for port in re.findall(r"'name': '([^']+)', 'containerPort'", str(each)):
            assert re.fullmatch(PORT, port), port
    assert len(seen) > 5


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,62}", fullmatch=True), st.sampled_from([15, 63]))
def test_every_key_has_a_legal_name(key: str, most: int) -> None:
    """Of a port in a container (15 characters, no two hyphens in a row) as of a volume."""
    name = object_name(key, most)
    assert re.fullmatch(PORT if most == 15 else LABEL, name)
    assert "--" not in name


def test_two_services_never_share_a_volume(tmp_path: Path) -> None:
    """Volumes have no namespace: `a-b` with a mount `c` and `a` with a mount `b-c` have volumes of their own."""
    services = {
        "a-b": {"cluster": "pods", "image": "example.org/x:1", "state": "none", "mounts": {"c": "nas/music"}},
        "a": {"cluster": "pods", "image": "example.org/x:1", "state": "none", "mounts": {"b-c": "nas/music"}},
    }
    lab = "lab: x\nhosts:\n  box: {os: linux, role: compute}\n"
    lab += "  nas: {os: dsm, role: storage, shares: {music: {path: /m, by: [nfs]}}}\nclusters: {pods: {host: box}}\n"
    made = passed(tmp_path, {"lab.yaml": lab, "services/s.yaml": yaml.safe_dump(services)})
    names = [each["metadata"]["name"] for each in manifests(render(made)) if each["kind"] == "PersistentVolume"]
    assert sorted(names) == ["a-b.mount-c", "a.mount-b-c"]


def test_a_collector_takes_over_no_role_of_kubernetes(tmp_path: Path) -> None:
    """A service may be called `view`, and the ClusterRole of that name stays what it is."""
    made = passed(tmp_path, {"services/s.yaml": "view: {cluster: pods, app: alloy}\n"})
    names = {each["metadata"]["name"] for each in manifests(render(made)) if each["kind"].startswith("ClusterRole")}
    assert names == {"collector:view"}
