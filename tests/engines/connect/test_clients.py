"""1Password's own clients, unchanged, in front of a SOPS file."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import onepasswordconnectsdk
import pytest
from onepasswordconnectsdk.client import new_client
from onepasswordconnectsdk.errors import FailedToRetrieveItemException, FailedToRetrieveVaultException
from onepasswordconnectsdk.models import Field, Item, ItemVault

from blumeops.base.files import locked
from blumeops.secrets.items import identifier
from tests.engines.connect.server import LAB, MINIFLUX, PEOPLE, Server
from tests.engines.op.store import SECRETS

PASSWORD = SECRETS["op://lab/miniflux/password"]


def test_the_python_sdk_reads(shared: Server) -> None:
    """Vaults and items by name and by identifier, fields, sections, files, and a whole configuration."""
    client = new_client(shared.url, shared.token("--vault", "lab", "--name", "python"))
    assert [vault.name for vault in client.get_vaults()] == ["lab"]
    assert client.get_vault_by_title("lab").id == client.get_vault(LAB).id == LAB
    assert [item.title for item in client.get_items(LAB)] == ["certificate", "gandi", "miniflux"]
    item = client.get_item("miniflux", "lab")
    assert item.id == client.get_item(MINIFLUX, LAB).id == MINIFLUX
    assert {field.label: field.value for field in item.fields if field.section is None} == {
        "password": PASSWORD, "username": "erich",
    }  # fmt: skip
    document = client.get_item("certificate", "lab")
    (file,) = client.get_files(document.id, LAB)
    content = client.get_file_content(file.id, document.id, LAB, file.content_path)
    assert content.decode() == SECRETS["op://lab/certificate/document"]
    config = {"pat": {"opitem": "gandi", "opfield": "api.pat", "opvault": LAB}}
    assert onepasswordconnectsdk.load_dict(client, config) == {"pat": "canary-pat"}


def test_the_python_sdk_reads_asynchronously(shared: Server) -> None:
    """Its other client asks the same."""
    client = new_client(shared.url, shared.token("--vault", "lab", "--name", "async"), is_async=True)

    async def ask() -> str:
        try:
            return str((await client.get_item("gandi", "lab")).fields[0].value)
        finally:
            await client.session.aclose()

    assert asyncio.run(ask()) == "canary-pat"


def test_the_python_sdk_is_refused(shared: Server) -> None:
    """Its own errors, with our words: a vault of others, an item that is not there, writing with a token that reads."""
    client = new_client(shared.url, shared.token("--vault", "lab", "--name", "refused"))
    with pytest.raises(FailedToRetrieveVaultException, match=r"403.*no access"):
        client.get_vault(PEOPLE)
    with pytest.raises(FailedToRetrieveItemException, match="Found 0 items"):
        client.get_item("none", "lab")
    with pytest.raises(FailedToRetrieveItemException, match=r"403.*may only read"):
        client.create_item(LAB, item("x", "y"))
    with pytest.raises(FailedToRetrieveVaultException, match="401"):
        new_client(shared.url, "bco_000000000000_" + "x" * 43).get_vaults()


def item(title: str, value: str) -> Item:
    """A new item as the SDK's own documentation makes it."""
    fields = [Field(value=value, purpose="PASSWORD"), Field(value="erich", label="user", type="STRING")]
    return Item(title=title, category="LOGIN", vault=ItemVault(id=LAB), fields=fields, tags=["x"])


def test_the_python_sdk_writes(server: Server) -> None:
    """A new item, another value, and no item any more: each is in the SOPS file, and nothing else has changed."""
    client = new_client(server.url, server.token("--vault", "lab", "--write"))
    made = client.create_item(LAB, item("new", "one"))
    assert server.stored() == {**SECRETS, "op://lab/new/password": "one", "op://lab/new/user": "erich"}
    made.fields = [field for field in made.fields if field.label == "password"]
    made.fields[0].value = "two"
    client.update_item(made.id, LAB, made)
    assert server.stored() == {**SECRETS, "op://lab/new/password": "two"}
    client.delete_item(made.id, LAB)
    assert server.stored() == SECRETS
    with pytest.raises(FailedToRetrieveItemException, match="404"):
        client.get_item_by_id(made.id, LAB)


@pytest.fixture(scope="session")
def go_client() -> Path:
    """The small program that calls the Go SDK, built once; a skip where its modules cannot be had."""
    if not shutil.which("go"):
        pytest.skip("there is no go on this machine")
    source = Path(__file__).with_name("go")
    place = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "programs" / "connect-sdk-go"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_name(f"{place.name}.lock")):
        build = ["go", "build", "-o", str(place), "."]
        done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False, timeout=280)
    if done.returncode and "dial tcp" in done.stderr:
        pytest.skip("the modules of the Go SDK cannot be fetched")
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_go_sdk_reads_and_writes(server: Server, go_client: Path) -> None:
    """What External Secrets, the operator and Terraform ask: names by `title eq`, files, PushSecret's ways."""
    token = server.token("--vault", "lab", "--write")
    env = {**os.environ, "OP_CONNECT_HOST": server.url, "OP_CONNECT_TOKEN": token}
    done = subprocess.run([go_client], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "vault": "lab", "items": 3, "password": PASSWORD, "same": True, "updated": "two",
        "file": SECRETS["op://lab/certificate/document"], "pat": "canary-pat", "load": "<nil>",
        "gone": f'status 404: item {identifier("item", "lab", "pushed")} not found in vault "lab"',
        "foreign": 'Found 0 vaults with title "people"',
    }  # fmt: skip
    assert server.stored() == SECRETS
