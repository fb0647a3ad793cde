"""Make container images without a registry: an OCI image layout, of files that are here.

In: paths in the image with their content. Out: one tar file that `ctr images import` takes. The same files
give the same bytes. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

_TYPE = "application/vnd.oci.image"


Files = Mapping[str, bytes | Path]


def image(
    reference: str,
    files: Files,
    command: Sequence[str],
    architecture: str,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> bytes:
    """An image called `reference` that runs `command`; all `files` (by their path in it) are programs, mode 0755.

    `settings`: what else its configuration says (Env, User, Volumes), in the specification's words.
    """
    layer = _tar({name.lstrip("/"): content for name, content in files.items()}, 0o755)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": list(command), "User": "65534:65534", **settings},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs: dict[str, bytes] = {}

    def put(content: bytes, kind: str) -> dict[str, object]:
        digest = _digest(content)
        blobs[f"blobs/sha256/{digest.removeprefix('sha256:')}"] = content
        return {"mediaType": f"{_TYPE}.{kind}", "digest": digest, "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.manifest.v1+json",
        "config": put(_json(config), "config.v1+json"),
        "layers": [put(layer, "layer.v1.tar")],
    }
    # containerd reads the whole name here; the specification has a place for the tag only.
    named = {**put(_json(manifest), "manifest.v1+json"), "annotations": {"io.containerd.image.name": reference}}
    index = {"schemaVersion": 2, "mediaType": f"{_TYPE}.index.v1+json", "manifests": [named]}
    layout = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    return _tar({**layout, **blobs}, 0o644)


def _tar(files: Files, mode: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else content.read_bytes()
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def with_libraries(program: Path) -> dict[str, bytes | Path]:
    """`program` as `/name`, and the libraries of this machine that it is linked with, at their own places."""
    found = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    libraries = re.findall(r"(?:=> )?(/\S+) \(0x", found)  # nothing when it is static: ldd says so, and fails
    return {f"/{program.name}": program, **{path: Path(path) for path in libraries}}
