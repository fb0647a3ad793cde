"""A real registry (distribution, Debian's package) on loopback, and images made of nothing that are pushed to it."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from blumeops.engines.local.ports import is_free
from blumeops.engines.local.programs import Programs
from blumeops.render.local_unit import Source
from tests.engines.local.conftest import programs_cache

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker.distribution"
INDEX, MANIFEST = f"{OCI}.index.v1+json", f"{OCI}.manifest.v1+json"
DOCKER_LIST, DOCKER_MANIFEST = f"{DOCKER}.manifest.list.v2+json", f"{DOCKER}.manifest.v2+json"


@dataclass(frozen=True)
class Registry:
    """`token`: what pushing needs."""

    port: int
    token: str = ""

    @property
    def name(self) -> str:
        """As it stands in front of an image."""
        return f"127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream"
    ) -> tuple[int, Mapping[str, str]]:
        """One request, which must go well."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": kind, "Accept": kind} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status < 300, (method, path, answer.status, told)
            return answer.status, dict(answer.headers)
        finally:
            connection.close()

    def blob(self, repository: str, content: bytes) -> dict[str, object]:
        """Push a blob; its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _, headers = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        where = urlsplit(headers["Location"])
        self.ask("PUT", f"{where.path}?{where.query}&digest={digest}", content)
        return {"digest": digest, "size": len(content)}

    def put(self, repository: str, reference: str, manifest: Mapping[str, object]) -> str:
        """Push a manifest; the digest that the registry gives it."""
        content = json.dumps(manifest).encode()
        kind = str(manifest["mediaType"])
        _, headers = self.ask("PUT", f"/v2/{repository}/manifests/{reference}", content, kind)
        assert headers["Docker-Content-Digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        return headers["Docker-Content-Digest"]

    def image(self, repository: str, tag: str, words: str = "", kind: str = MANIFEST) -> str:
        """An image whose configuration has `words`; its digest."""
        rootfs = {"type": "layers", "diff_ids": ()}
        config = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"words": words}}, "rootfs": rootfs}
        about = self.blob(repository, json.dumps(config).encode())
        media = f"{OCI}.config.v1+json" if kind == MANIFEST else "application/vnd.docker.container.image.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"mediaType": media, **about}, "layers": []}
        return self.put(repository, tag, manifest)

    def index(self, repository: str, tag: str, architectures: Sequence[str], kind: str = INDEX) -> str:
        """An index of one image an architecture; its digest."""
        one = MANIFEST if kind == INDEX else DOCKER_MANIFEST
        inner = []
        for each in architectures:
            digest = self.image(repository, f"of-{each}", each, one)
            platform = {"os": "linux", "architecture": each}
            size = int(self.ask("HEAD", f"/v2/{repository}/manifests/{digest}", kind=one)[1]["Content-Length"])
            inner.append({"mediaType": one, "digest": digest, "size": size, "platform": platform})
        return self.put(repository, tag, {"schemaVersion": 2, "mediaType": kind, "manifests": inner})


@contextmanager
def running(folder: Path, port: int, token: str = "", auth: Mapping[str, object] | None = None) -> Iterator[Registry]:
    """The registry, with its files in `folder`."""
    source = Source(kind="deb", name="docker-registry", suite="bookworm", version="2.8.2")
    program = Programs(programs_cache()).obtain([source], "2.8.2", print).binary("docker-registry")
    settings = {
        "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "kept")}},
        "http": {"addr": f"127.0.0.1:{port}"}, **({"auth": dict(auth)} if auth else {}),
    }  # fmt: skip
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")], cwd=folder, env=env, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 20
        while is_free(port):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield Registry(port, token)
    finally:
        process.terminate()
        process.wait(10)
