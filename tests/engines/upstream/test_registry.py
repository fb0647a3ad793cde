"""A real registry's answers: digests, tags, tokens, and what it does not show."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest

from blumeops.lab.images import parse_image
from blumeops.upstream import registry as asked
from blumeops.upstream.ask import Answer, Away, ask
from blumeops.upstream.registry import NoSuchImage, Registries
from blumeops.upstream.together import asked_together
from tests.engines.upstream.registry import DOCKER_LIST, DOCKER_MANIFEST, Registry
from tests.engines.upstream.tokens import SERVICE, Tokens
from tests.ports import free_port


def test_the_digest_of_each_kind_of_image(registry: Registry) -> None:
    """Of an image its manifest's, of several platforms their index', in OCI's form and in Docker's."""
    made = {
        "one": registry.image("web/app", "one"),
        "docker": registry.image("web/app", "docker", kind=DOCKER_MANIFEST),
        "index": registry.index("web/app", "index", ["amd64", "arm64"]),
        "list": registry.index("web/app", "list", ["amd64", "arm64"], DOCKER_LIST),
    }
    found = {tag: Registries().digest(parse_image(f"{registry.name}/web/app:{tag}")) for tag in made}
    assert found == made
    assert len(set(found.values())) == 4


def test_a_registry_that_does_not_say_its_digest(registry: Registry) -> None:
    """It is that of what it sends."""
    made = registry.image("web", "1")

    def silent(method: str, url: str, headers: Mapping[str, str]) -> Answer:
        answer = ask(method, url, headers)
        rest = {name: value for name, value in answer.headers.items() if name != "docker-content-digest"}
        assert method == "HEAD" or hashlib.sha256(answer.body).hexdigest() in made
        return replace(answer, headers=rest)

    assert Registries(silent).digest(parse_image(f"{registry.name}/web:1")) == made


def test_what_is_not_there(registry: Registry) -> None:
    """Neither a tag nor a repository, each in words."""
    registry.image("web", "1")
    for name in ("web:2", "other:1"):
        with pytest.raises(NoSuchImage, match="has no such image"):
            Registries().digest(parse_image(f"{registry.name}/{name}"))


def test_a_registry_that_is_away_is_asked_once() -> None:
    """The second image of it costs nothing."""
    asked_for: list[str] = []

    def counted(method: str, url: str, headers: Mapping[str, str]) -> Answer:
        asked_for.append(url)
        return ask(method, url, headers)

    registries = Registries(counted)
    name = f"127.0.0.1:{free_port()}"
    for each in ("one:1", "two:1"):
        with pytest.raises(Away, match="refused"):
            registries.digest(parse_image(f"{name}/{each}"))
    assert len(asked_for) == 1


def test_tags_of_a_real_registry(registry: Registry) -> None:
    """All of them. (This one tells them all at once.)"""
    for tag in ("1.0", "1.1"):
        registry.image("web", tag, tag)
    assert set(Registries().tags(parse_image(f"{registry.name}/web:1.0"))) == {"1.0", "1.1"}


def paged(method: str, url: str, headers: Mapping[str, str]) -> Answer:
    """A registry that tells two tags at once, without an end, as the specification says."""
    first = int(url.partition("last=")[2] or 0)
    tags = json.dumps({"name": "web", "tags": [f"1.{first}", f"1.{first + 1}"]}).encode()
    return Answer(200, {"link": f'</v2/web/tags/list?n=2&last={first + 2}>; rel="next"'}, tags, url)


def test_tags_over_several_pages() -> None:
    """One page after another, and not more than are bearable."""
    found = Registries(paged).tags(parse_image("example.org/web:1"))
    assert found == tuple(f"1.{number}" for number in range(2 * asked.MOST_PAGES))


def test_a_list_of_tags_that_leads_elsewhere() -> None:
    """It is not followed: what is said there is another registry's."""

    def elsewhere(method: str, url: str, headers: Mapping[str, str]) -> Answer:
        return Answer(200, {"link": '<https://example.com/v2/web/tags/list>; rel="next"'}, b'{"tags": []}', url)

    with pytest.raises(Away, match="leads to another server"):
        Registries(elsewhere).tags(parse_image("example.org/web:1"))


def test_a_stranger_gets_a_token(guarded: tuple[Registry, Tokens]) -> None:
    """As on every public registry: for this repository, for reading, asked for once."""
    registry, tokens = guarded
    pushing = replace(registry, token=tokens.token("public/web", "pull", "push"))
    made = pushing.image("public/web", "1")
    registries = Registries()
    image = parse_image(f"{registry.name}/public/web:1")
    assert registries.digest(image) == made
    assert registries.tags(image) == ("1",)
    assert tokens.asked == [{"scope": ["repository:public/web:pull"], "service": [SERVICE]}]


def test_what_is_private_is_refused(guarded: tuple[Registry, Tokens]) -> None:
    """In words that name both reasons, since the registry tells nobody which it is."""
    registry, tokens = guarded
    replace(registry, token=tokens.token("private/web", "pull", "push")).image("private/web", "1")
    with pytest.raises(NoSuchImage, match="does not show to strangers"):
        Registries().digest(parse_image(f"{registry.name}/private/web:1"))


def test_many_at_once(registry: Registry) -> None:
    """Each question gets its own answer, and no thread is left."""
    made = {f"{number}": registry.image("web", f"{number}", f"{number}") for number in range(20)}
    registries, before = Registries(), threading.active_count()
    found = dict(asked_together(list(made), lambda tag: registries.digest(parse_image(f"{registry.name}/web:{tag}"))))
    assert found == made
    assert threading.active_count() <= before + 8


def test_a_bug_is_raised_where_somebody_sees_it() -> None:
    """And not swallowed by a thread."""
    with pytest.raises(ZeroDivisionError):
        list(asked_together([1, 0], lambda number: 1 / number))
