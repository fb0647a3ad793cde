"""Images that are locked, by real Podman and a real registry: what the lock says runs, wherever the tag went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.engines.local.engine import LocalEngine
from blumeops.lab.images import parse_image
from blumeops.plan.compare import compare
from blumeops.render.local_unit import LocalUnit, Source
from blumeops.upstream.registry import Registries
from tests.engines.containers.conftest import NAME, podman, web
from tests.engines.local.conftest import apply, get
from tests.engines.upstream.registry import running
from tests.ports import free_port


@pytest.fixture
def name(images: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An image's name in a registry that Podman may ask without TLS."""
    folder = tmp_path / "registry"
    folder.mkdir()
    port = free_port()
    conf = folder / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    with running(folder, port):
        yield f"127.0.0.1:{port}/web"


def pushed(tag: str, name: str) -> str:
    """Put one of the tests' images there as `NAME:1`; its digest."""
    podman("push", "--quiet", f"{NAME}:{tag}", f"docker://{name}:1")
    return Registries().digest(parse_image(f"{name}:1"))


def locked(name: str, digest: str | None) -> LocalUnit:
    """A service that is version 1 of it."""
    return web(sources=(Source(kind="container", name=name, digest=digest),))


def test_what_runs_is_what_is_locked(engine: LocalEngine, name: str) -> None:
    """A tag that moves changes nothing, until the lock follows it: then the service is restarted with the new image."""

    def said() -> str:
        return get(engine.observe()["web"].ports["http"])[1]

    first = pushed("1", name)
    apply(engine, locked(name, first), "started")
    assert said() == "one\n"
    second = pushed("2", name)
    assert first != second
    apply(engine, locked(name, first), "unchanged")
    assert said() == "one\n"
    wanted = {"web": locked(name, second)}
    [planned] = compare(wanted, engine.compared(), engine.contained()).changes
    assert planned.action == "restart"
    apply(engine, wanted["web"], "restarted")
    assert said() == "two\n"


def test_a_digest_that_nobody_has(engine: LocalEngine, name: str) -> None:
    """The tag is there, and is no answer: what was locked runs on."""
    apply(engine, locked(name, pushed("1", name)), "started")
    outcome = engine.apply(locked(name, f"sha256:{'7' * 64}"), lambda line: None)
    assert outcome.action == "unavailable" or "cannot be pulled" in outcome.reason
    assert get(engine.observe()["web"].ports["http"])[1] == "one\n"
