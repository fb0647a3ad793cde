"""Registries of images: the digest of what a tag means now, and which tags there are.

In: an image's name. Out: a digest, or tags. The protocol is OCI's Distribution Specification
(https://github.com/opencontainers/distribution-spec/blob/main/spec.md); who may read is asked for as a stranger
(https://distribution.github.io/distribution/spec/auth/token/). Promised: a digest is asked for by HEAD, which Docker
Hub counts as no pull; the one of an index where there is one, so that every platform has its own; a token goes to the
registry that asked for it, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlencode, urljoin, urlsplit

from blumeops.lab.images import DIGEST, DOCKER, ImageName
from blumeops.lab.remotes import is_loopback
from blumeops.upstream.ask import Answer, Ask, Away, ask

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
MOST_PAGES = 50
PER_PAGE = 1000
LONGEST_TOKEN = 64 << 10
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class NoSuchImage(Exception):
    """The registry answers, and does not give it to a stranger: it is not there, or private. Says which."""


class Registries:
    """Asks registries; what a token opens is asked for once. Safe to use from several threads."""

    def __init__(self, asks: Ask = ask) -> None:
        self._ask = asks
        self._tokens: dict[tuple[str, str], str] = {}
        self._away: dict[str, str] = {}
        """By registry: why it did not answer. It is not asked again."""
        self._lock = threading.Lock()

    def digest(self, image: ImageName) -> str:
        """`sha256:…` of what its tag means now. Raises Away, NoSuchImage."""
        url = f"{_base(image)}manifests/{image.tag}"
        accept = ", ".join((*INDEXES, *MANIFESTS))
        answer = self._answer("HEAD", url, image, accept)
        found = answer.headers.get("docker-content-digest", "")
        if not found:  # the specification says that it should be there, not that it must
            answer = self._answer("GET", url, image, accept)
            found = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in (*INDEXES, *MANIFESTS) or not DIGEST.fullmatch(found):
            raise NoSuchImage("the registry answers with what is no image of today")
        return found

    def tags(self, image: ImageName) -> tuple[str, ...]:
        """Every tag of its repository, in the registry's order. Raises Away, NoSuchImage."""
        url, found = f"{_base(image)}tags/list?n={PER_PAGE}", []
        for _ in range(MOST_PAGES):
            answer = self._answer("GET", url, image, "application/json")
            found += list(_tags(answer))
            leads = _next(answer)
            if not leads:
                break
            url = urljoin(url, leads)
            if urlsplit(url).netloc != urlsplit(_base(image)).netloc:
                raise Away("its list of tags leads to another server")
        return tuple(found)

    def _answer(self, method: str, url: str, image: ImageName, accept: str) -> Answer:
        """The answer to a stranger who asked for a token where one was wanted."""
        key = (image.registry, image.repository)
        headers = {"Accept": accept}
        with self._lock:
            token, away = self._tokens.get(key), self._away.get(image.registry)
        if away:
            raise Away(away)
        try:
            answer = self._ask(method, url, _with(headers, token))
        except Away as error:
            with self._lock:
                self._away[image.registry] = str(error)
            raise
        if answer.status == 401 and (challenge := _bearer(answer)):
            token = self._token(challenge, image)
            with self._lock:
                self._tokens[key] = token
            answer = self._ask(method, url, _with(headers, token))
        if answer.status == 200:
            return answer
        if answer.status == 404:
            raise NoSuchImage("the registry has no such image")
        if answer.status in (401, 403):
            raise NoSuchImage("the registry has no such image, or one that it does not show to strangers")
        words = {429: "has been asked too often: try again later"}
        raise Away(words.get(answer.status, f"answers {answer.status}"))

    def _token(self, challenge: dict[str, str], image: ImageName) -> str:
        """A stranger's token. https://distribution.github.io/distribution/spec/auth/token/#requesting-a-token"""
        realm = challenge["realm"]
        if _at_loopback(realm) and not is_loopback(image.registry.partition(":")[0]):
            raise Away("asks for a token of this machine")
        asked = {"scope": challenge.get("scope") or f"repository:{image.repository}:pull"}
        if "service" in challenge:
            asked["service"] = challenge["service"]
        answer = self._ask("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(asked)}", {})
        if answer.status in (401, 403):
            raise NoSuchImage("the registry has no such image, or one that it does not show to strangers")
        try:
            told = json.loads(answer.body) if answer.status == 200 else None
        except (ValueError, RecursionError):
            told = None
        token = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token) or len(token) > LONGEST_TOKEN:
            raise Away(f"gives no token ({answer.status})")
        return token


def _base(image: ImageName) -> str:
    """Docker Hub's registry has another name than its images; one on loopback speaks HTTP, as to every client."""
    host = "registry-1.docker.io" if image.registry == DOCKER else image.registry
    scheme = "http" if is_loopback(host.rpartition(":")[0] or host) else "https"
    return f"{scheme}://{host}/v2/{quote(image.repository)}/"


def _with(headers: dict[str, str], token: str | None) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def _bearer(answer: Answer) -> dict[str, str]:
    """What a challenge says; empty without one that a stranger can meet."""
    scheme, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
    found = dict(_PARAMETER.findall(rest[:4096]))
    return found if scheme.lower() == "bearer" and found.get("realm") else {}


def _at_loopback(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _tags(answer: Answer) -> Iterator[str]:
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Away("answers with what is no list of tags") from None
    tags = told.get("tags") if isinstance(told, dict) else None
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and _TAG.fullmatch(tag):
            yield tag


def _next(answer: Answer) -> str:
    """Where the rest is. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags"""
    found = re.search(r'<([^<>]{1,2048})>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
    return found[1] if found else ""
