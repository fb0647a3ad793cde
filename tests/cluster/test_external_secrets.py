"""External Secrets' own controller reads what is rendered and asks our Connect server: values arrive, errors are told.

Applied as rendered, but for the address: Connect's Service has a name for pods alone, and ours listens on loopback.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render
from tests.engines.connect.server import LAB, Server, serving
from tests.engines.op.store import make_store

from .build import NO_GO
from .control_plane import ControlPlane
from .external_secrets import NotServed, controller, program
from .kubectl import Action

REPOSITORY = Path(__file__).resolve().parents[2]
RENDERED = REPOSITORY / "tests" / "golden" / "kubernetes" / "labs" / "cnpg"
PAGE = REPOSITORY / "docs" / "how-to" / "serve-secrets-by-connect.md"
NAMESPACE = "onepassword-connect"
"""Where the token is: as rendered."""
SECONDS = 30
UGLY = "'\"$HOME {{ .x }} {{ 7 }}\\ \u00e9\n"
VALUES = {
    "op://lab/miniflux/database-password": "letters0and1digits",
    "op://people/miniflux/first user/password": UGLY,
    "op://lab/borgmatic/passphrase": "passphrase",
    "op://lab/tailscale-operator/client-id": "id",
    "op://lab/tailscale-operator/client-secret": "secret",
    "op://lab/certificate/document": "-----BEGIN-----\nline\n-----END-----\n",
    "op://lab/twice/one/key": "first",
    "op://lab/twice/two/key": "second",
    "op://lab/turned/key": "old",
}

Manifest = dict[str, Any]


@pytest.fixture(autouse=True)
def guard() -> None:
    """Not each test alone: the Connect server and the controller are of all of them."""


@dataclass(frozen=True)
class World:
    """A control plane, the controller that works on it, and the Connect server that it asks."""

    plane: ControlPlane
    connect: Server

    def apply(self, *manifests: Manifest) -> None:
        """Server-side. Raises when one is refused or warned of."""
        self.plane.apply(yaml.safe_dump_all(manifests))

    def here(self, text: str, host: str) -> list[Manifest]:
        """Manifests that name the Connect server `host`, with the address of ours."""
        assert host in text
        return list(yaml.safe_load_all(text.replace(host, self.connect.url)))

    def found(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """An object; empty when it is not there."""
        words = ("get", kind, name, "-o", "json", "--ignore-not-found", *(("-n", namespace) if namespace else ()))
        return dict(json.loads(self.plane.kubectl(*words).must() or "{}"))

    def condition(self, kind: str, name: str, namespace: str = "") -> tuple[str, str, str]:
        """What its condition Ready says: status, reason, message."""
        for each in self.found(kind, name, namespace).get("status", {}).get("conditions", ()):
            if each["type"] == "Ready":
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    def data(self, name: str, namespace: str) -> dict[str, str]:
        """What a Secret holds."""
        held = self.found("secret", name, namespace).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in held.items()}

    def events(self, kind: str, namespace: str) -> str:
        """What was said of objects of this kind."""
        words = ("get", "events", "-n", namespace, "--field-selector", f"involvedObject.kind={kind}", "-o", "json")
        return "\n".join(each["message"] for each in json.loads(self.plane.kubectl(*words).must())["items"])

    def token(self, name: str, text: str, namespace: str = NAMESPACE) -> None:
        """Put a token where a store finds it, as the manual says."""
        about = {"name": name, "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": {"token": text}})

    def asked_again(self, kind: str, name: str, namespace: str = "") -> None:
        """What a person does who does not wait for `refreshInterval`, or until a store is looked at again."""
        words = ("annotate", kind, name, f"force-sync={time.time()}", "--overwrite")
        self.plane.kubectl(*words, *(("-n", namespace) if namespace else ())).must()


def until(met: Callable[[], bool], told: Callable[[], object]) -> None:
    """Return when `met`; fail with what is `told` when it takes too long."""
    end = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < end, told()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def world(cluster: ControlPlane, crds: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All of it, with the namespace and the token that a person makes."""
    assert "externalsecrets.external-secrets.io" in crds
    if not shutil.which("go"):
        pytest.skip(NO_GO)
    try:
        built = program()
    except NotServed as why:
        pytest.skip(f"External Secrets cannot be fetched: {why}")
    folder = tmp_path_factory.mktemp("connect")
    with serving(folder, make_store(folder, VALUES)) as connect:
        made = World(cluster, connect)
        cluster.kubectl("create", "namespace", NAMESPACE).must()
        made.token("onepassword-token", connect.token("--vault", "lab", "--vault", "people", "--name", "cluster"))
        with controller(cluster, built):
            yield made
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false").must()


@pytest.fixture(scope="module")
def rendered(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The manifests of a lab with two vaults, and its stores applied."""
    checked = check_folder(RENDERED)
    assert checked.passed
    folder = tmp_path_factory.mktemp("rendered")
    render(checked.passed).write(folder)
    manifests = folder / "argocd" / "manifests"
    text = (manifests / NAMESPACE / "clustersecretstore.yaml").read_text()
    world.apply(*world.here(text, f"http://{NAMESPACE}.{NAMESPACE}.svc:8080"))
    yield manifests
    world.plane.kubectl("delete", "clustersecretstore", "--all").must()


def external(namespace: str, name: str, spec: Manifest, store: str = "onepassword") -> Manifest:
    """An ExternalSecret of a person's own."""
    return {
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": store}, **spec},
    }  # fmt: skip


def one(key: str, field: str) -> Manifest:
    """The field of an item, as `value`."""
    return {"data": [{"secretKey": "value", "remoteRef": {"key": key, "property": field}}]}


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("store", ["onepassword", "onepassword-people"])
def test_each_store_is_valid(world: World, store: str) -> None:
    """The controller has asked for its vault with the token, at the address."""
    until(lambda: world.condition("clustersecretstore", store)[:2] == ("True", "Valid"),
          lambda: world.found("clustersecretstore", store))  # fmt: skip


@pytest.mark.parametrize(
    ("service", "values"),
    [
        ("miniflux", {
            "DATABASE_URL": "postgres://miniflux:letters0and1digits@postgresql-rw.postgresql.svc:5432/miniflux?sslmode=disable",
            "ADMIN_PASSWORD": UGLY,
        }),
        ("borgmatic", {"secret.passphrase": "passphrase"}),
        ("tailscale-operator", {"client_id": "id", "client_secret": "secret"}),
    ],
)  # fmt: skip
def test_a_services_secret_arrives(world: World, rendered: Path, service: str, values: dict[str, str]) -> None:
    """Byte for byte, by templates, from two vaults with an item of one title; and it belongs to the object."""
    text = (rendered / service / "externalsecret.yaml").read_text()
    (made,) = yaml.safe_load_all(text)
    name = made["metadata"]["name"]
    world.plane.kubectl("create", "namespace", service).must()
    try:
        world.plane.apply(text)
        until(lambda: world.condition("externalsecret", name, service)[0] == "True",
              lambda: world.events("ExternalSecret", service))  # fmt: skip
        assert world.data(name, service) == values
        owner = world.found("secret", name, service)["metadata"]["ownerReferences"]
        assert [(each["kind"], each["name"]) for each in owner] == [("ExternalSecret", name)]
    finally:
        world.plane.kubectl("delete", "namespace", service, "--wait=false").must()


def test_nothing_that_was_rendered_is_changed(world: World, rendered: Path, namespace: str) -> None:
    """The controller fills in nothing over what was said: a second apply changes nothing, and kubectl sees the same."""
    text = (rendered / "borgmatic" / "externalsecret.yaml").read_text()
    text = text.replace("namespace: borgmatic", f"namespace: {namespace}")
    world.plane.apply(text)
    name = yaml.safe_load(text)["metadata"]["name"]
    until(lambda: world.condition("externalsecret", name, namespace)[0] == "True",
          lambda: world.found("externalsecret", name, namespace))  # fmt: skip
    assert world.plane.differs(text) == ""
    assert [change.action for change in world.plane.apply(text)] == [Action.UNCHANGED]


@pytest.mark.usefixtures("rendered")
def test_a_new_value_arrives(world: World, namespace: str) -> None:
    """After a rotation, when it is asked again; a deleted item leaves the Secret with what it had, and is told."""
    world.apply(external(namespace, "turned", {**one("turned", "key"), "target": {"deletionPolicy": "Retain"}}))
    until(lambda: world.data("turned", namespace) == {"value": "old"},
          lambda: world.events("ExternalSecret", namespace))  # fmt: skip
    with world.connect.client(world.connect.token("--vault", "lab", "--write", "--name", "rotation")) as client:
        (item,) = client.get(f"/v1/vaults/{LAB}/items", params={"filter": 'title eq "turned"'}).json()
        at = f"/v1/vaults/{LAB}/items/{item['id']}"
        whole = client.get(at).json()
        whole["fields"][0]["value"] = "new"
        client.put(at, json=whole).raise_for_status()
        world.asked_again("externalsecret", "turned", namespace)
        until(lambda: world.data("turned", namespace) == {"value": "new"},
              lambda: world.events("ExternalSecret", namespace))  # fmt: skip
        client.delete(at).raise_for_status()
    world.asked_again("externalsecret", "turned", namespace)
    until(lambda: world.condition("externalsecret", "turned", namespace)[0] == "False",
          lambda: world.found("externalsecret", "turned", namespace))  # fmt: skip
    assert world.data("turned", namespace) == {"value": "new"}


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    ("key", "field", "words"),
    [
        ("absent", "key", "key not found in 1Password Vaults: absent"),
        ("borgmatic", "absent", "expected one 1Password ItemField matching: 'absent' in 'borgmatic', got 0"),
        ("twice", "key", "expected one 1Password ItemField matching: 'key' in 'twice', got 2"),
    ],
)
def test_what_is_missing_is_told(world: World, namespace: str, key: str, field: str, words: str) -> None:
    """By a condition that is False, and an event that names item and field; no Secret is made. A label that stands in
    two sections is none."""
    world.apply(external(namespace, "asked", one(key, field)))
    until(lambda: words in world.events("ExternalSecret", namespace), lambda: world.events("ExternalSecret", namespace))
    status, reason, message = world.condition("externalsecret", "asked", namespace)
    assert (status, reason) == ("False", "SecretSyncedError"), message
    assert world.data("asked", namespace) == {}


@pytest.mark.usefixtures("rendered")
def test_a_document_arrives(world: World, namespace: str) -> None:
    """By the reference of its field, as any other secret: its content is a file, which has that name."""
    world.apply(external(namespace, "certificate", one("certificate", "document")))
    until(lambda: world.data("certificate", namespace) == {"value": VALUES["op://lab/certificate/document"]},
          lambda: world.events("ExternalSecret", namespace))  # fmt: skip


@pytest.mark.usefixtures("rendered")
def test_whole_items_arrive(world: World, namespace: str) -> None:
    """`dataFrom`: all fields of an item (`extract`), and those of a name (`find`)."""
    world.apply(external(namespace, "whole", {"dataFrom": [{"extract": {"key": "tailscale-operator"}}]}))
    find = {"path": "tailscale-operator", "name": {"regexp": "^client-s"}}
    world.apply(external(namespace, "some", {"dataFrom": [{"find": find}]}))
    until(lambda: world.data("whole", namespace) == {"client-id": "id", "client-secret": "secret"},
          lambda: world.events("ExternalSecret", namespace))  # fmt: skip
    until(lambda: world.data("some", namespace) == {"client-secret": "secret"},
          lambda: world.events("ExternalSecret", namespace))  # fmt: skip


def test_a_wrong_token_is_told(world: World, rendered: Path, namespace: str) -> None:
    """The store says so, and what asks it that the store is not ready; with a right token it goes on."""
    (store,) = (
        each for each in yaml.safe_load_all((rendered / NAMESPACE / "clustersecretstore.yaml").read_text())
        if each["metadata"]["name"] == "onepassword"
    )  # fmt: skip
    store["metadata"]["name"] = "refused"
    provider = store["spec"]["provider"]["onepassword"]
    provider["connectHost"] = world.connect.url
    provider["auth"]["secretRef"]["connectTokenSecretRef"]["name"] = "wrong"
    world.token("wrong", "bco_000000000000_" + "x" * 43)
    world.apply(store, external(namespace, "waits", one("borgmatic", "passphrase"), "refused"))
    until(lambda: world.condition("clustersecretstore", "refused")[:2] == ("False", "InvalidProviderConfig"),
          lambda: world.found("clustersecretstore", "refused"))  # fmt: skip
    until(lambda: world.condition("externalsecret", "waits", namespace)[0] == "False",
          lambda: world.found("externalsecret", "waits", namespace))  # fmt: skip
    assert world.data("waits", namespace) == {}
    world.token("wrong", world.connect.token("--vault", "lab", "--name", "right"))
    world.asked_again("clustersecretstore", "refused")
    until(lambda: world.condition("clustersecretstore", "refused")[0] == "True",
          lambda: world.found("clustersecretstore", "refused"))  # fmt: skip
    world.asked_again("externalsecret", "waits", namespace)
    until(lambda: world.data("waits", namespace) == {"value": "passphrase"},
          lambda: world.events("ExternalSecret", namespace))  # fmt: skip


@pytest.mark.usefixtures("rendered")
def test_a_secret_is_pushed(world: World, namespace: str) -> None:
    """PushSecret writes an item with a token that may, and its next value; with one that only reads it is refused."""
    text = re.search(r"(apiVersion: external-secrets\.io/v1\n.*?\n)\n", _unindented(PAGE), re.DOTALL)
    assert text, "the page has no ClusterSecretStore"
    (store,) = world.here(text[1], "https://connect.example.org")
    provider = store["spec"]["provider"]["onepassword"]
    token = provider["auth"]["secretRef"]["connectTokenSecretRef"]
    assert token["namespace"], "a store of the whole cluster has to say where its token is"
    store["metadata"]["name"], provider["vaults"], token["namespace"] = "written", {"lab": 1}, namespace
    world.token(token["name"], world.connect.token("--vault", "lab", "--write", "--name", "pushes"), namespace)
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own", "namespace": namespace}}
    world.apply(store, {**own, "stringData": {"key": "one"}})
    world.apply(push(namespace, "written"), push(namespace, "onepassword"))
    until(lambda: world.connect.stored().get("op://lab/pushed-written/value") == "one",
          lambda: world.events("PushSecret", namespace))  # fmt: skip
    until(lambda: "may only read" in world.events("PushSecret", namespace),
          lambda: world.events("PushSecret", namespace))  # fmt: skip
    assert world.condition("pushsecret", "onepassword", namespace)[:2] == ("False", "Errored")
    assert "op://lab/pushed-onepassword/value" not in world.connect.stored()
    world.apply({**own, "stringData": {"key": "two"}})
    until(lambda: world.connect.stored().get("op://lab/pushed-written/value") == "two",
          lambda: world.events("PushSecret", namespace))  # fmt: skip


def push(namespace: str, store: str) -> Manifest:
    """A PushSecret by this store, of what is in the Secret `own`."""
    remote = {"remoteKey": f"pushed-{store}", "property": "value"}
    return {
        "apiVersion": "external-secrets.io/v1alpha1", "kind": "PushSecret",
        "metadata": {"name": store, "namespace": namespace},
        "spec": {
            "refreshInterval": "1s", "secretStoreRefs": [{"kind": "ClusterSecretStore", "name": store}],
            "selector": {"secret": {"name": "own"}}, "data": [{"match": {"secretKey": "key", "remoteRef": remote}}],
        },
    }  # fmt: skip


def _unindented(page: Path) -> str:
    """A page's examples, as they are written into a file."""
    return "\n".join(line.removeprefix("    ") for line in page.read_text().splitlines())
