"""A lab of one's own: a folder that is not there, or empty, becomes a Git repository with one commit.

What enters: the folder, the lab's name, which example, if any, and where its key is to lie. What leaves: the files
committed, among them the secrets that the lab needs, encrypted; the revision; the key. Promised: the lab passes the
checks; a folder with anything in it is left alone; what cannot be finished is taken away.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

import blumeops
from blumeops.app.first_secrets import first_secrets, key_of_new_lab
from blumeops.base.errors import UserError
from blumeops.base.files import cannot_write
from blumeops.base.processes import Completed, must, run
from blumeops.base.site import SiteFolder
from blumeops.base.tree import FileTree
from blumeops.facts.origins import origins
from blumeops.forge import workflow
from blumeops.lab import yaml
from blumeops.lab.app import App
from blumeops.lab.files import CATALOGUE
from blumeops.lab.schema import schema_files
from blumeops.secrets import sops

PACKAGE = Path(blumeops.__file__).parent
STARTER = PACKAGE / "starter"
EXAMPLES = PACKAGE / "labs" if (PACKAGE / "labs").is_dir() else PACKAGE.parents[1] / "labs"
"""In a wheel they lie in the package; in the repository, at its root."""
SCHEMAS_OF_LAB = ".blumeops"
BOT = "renovate.json"
LONGEST = 50


@dataclass(frozen=True, slots=True)
class NewLab:
    """What was made: the lab's name, its folder, the files in Git, the first commit, and the age key's file."""

    name: str
    folder: Path
    files: tuple[str, ...]
    revision: str
    key: Path


def legal_name(text: str) -> str:
    """A folder's name made one that a lab may have: "My Lab" becomes my-lab. Raises UserError `BLU107`."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:LONGEST].rstrip("-")
    if not name:
        raise UserError("BLU107", text, "gives no name for a lab", "name it with --name")
    return name


def make_lab(
    folder: Path,
    name: str,
    site: SiteFolder,
    example: str | None = None,
    key: Path | None = None,
    with_workflow: bool = False,
) -> NewLab:
    """Make the lab. `key`: the file of its age key; else the environment's, or in the state of `site`. `with_workflow`:
    Forgejo's that plans pull requests is among its files.

    Raises UserError `BLU008`, `BLU108`, `BLU502`, Unavailable `BLU901` without Git, `BLU507` without sops, EngineError
    `BLU600`, `BLU903`.
    """
    if name != legal_name(name):
        raise UserError("BLU107", name, "cannot be a lab's name", f"such as {legal_name(name)}")
    sops.program()
    with _all_or_nothing(folder), ExitStack() as undo:
        must(_git(folder, "init", "--quiet", "--initial-branch=main"), "BLU600", "git init")
        more = {workflow.path_of("forgejo"): workflow.text_of("forgejo", "main")} if with_workflow else {}
        tree = FileTree({**(_example(example, name) if example else _starter(folder, name)), **more})
        tree.write(folder)
        made = undo.enter_context(key_of_new_lab(folder, key, os.environ, site))
        secrets = FileTree(first_secrets(folder, made))
        secrets.write(folder)
        must(_git(folder, "add", "--all", "--force", "."), "BLU600", "git add")
        who = [*_unless_set(folder, "user.name", "blumeops"), *_unless_set(folder, "user.email", "blumeops@localhost")]
        done = _git(folder, *who, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message=A new lab")
        must(done, "BLU600", "git commit")
        revision = must(_git(folder, "rev-parse", "HEAD"), "BLU600", "git rev-parse").decode().strip()
    return NewLab(name, folder, tuple(sorted([*tree, *secrets])), revision, made.path)


def _starter(folder: Path, name: str) -> Mapping[str, bytes]:
    """The smallest lab that runs, with this person in it and the catalogue's versions written out."""
    email = _git(folder, "config", "--get", "user.email").stdout.decode(errors="replace").strip()
    person = _person()
    login = email or f"{person}@example.org"
    words = {
        "lab": name,
        "person": person,
        "login": login if re.fullmatch(r"[A-Za-z0-9][\w.+-]*@[\w.-]+", login, re.ASCII) else json.dumps(login),
        "os": "macos" if sys.platform == "darwin" else "linux",
    }
    for name in ("caddy", "postgresql", "miniflux"):
        app = _app(name)
        words |= {name: app.version, f"{name}_from": origins(app, in_cluster=False)[0].for_bots}
    files = _files(STARTER)
    plain = {path: Template(data.decode()).substitute(words).encode() for path, data in files.items() if path != BOT}
    plain[BOT] = files[BOT]
    return _for_editors({".gitignore" if path == "gitignore" else path: data for path, data in plain.items()})


def _example(example: str, name: str) -> Mapping[str, bytes]:
    """A lab of the project, under another name."""
    files = _files(EXAMPLES / example)
    ours = {"README.md": (STARTER / "README.md").read_bytes().replace(b"$lab", name.encode())}
    ours[BOT] = (STARTER / BOT).read_bytes()
    files = ours | files | {".gitignore": (STARTER / "gitignore").read_bytes()}
    files["lab.yaml"] = re.sub(rb"(?m)^lab: .*$", f"lab: {name}".encode(), files["lab.yaml"], count=1)
    return _for_editors(files)


def _for_editors(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files with the line that tells a YAML language server their schema, and the schemas beside them."""
    made = {path: _schema_line(path) + data for path, data in files.items()}
    return made | {f"{SCHEMAS_OF_LAB}/{file}": data for file, data in schema_files().items()}


def _schema_line(path: str) -> bytes:
    folder, _, file = path.rpartition("/")
    kind = {"lab.yaml": "lab", "app.yaml": "app"}.get(file, "services" if folder == "services" else "")
    if not kind or not file.endswith(".yaml"):
        return b""
    up = "../" * (path.count("/"))
    return f"# yaml-language-server: $schema={up}{SCHEMAS_OF_LAB}/{kind}.schema.json\n".encode()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _app(name: str) -> App:
    return App.model_validate(yaml.read((CATALOGUE / name / "app.yaml").read_bytes(), name).data)


def _person() -> str:
    """Who calls, as a name in `people:`."""
    try:
        return legal_name(getpass.getuser())
    except (UserError, OSError, KeyError):  # a user id that nobody has a name for
        return "you"


def _git(folder: Path, *arguments: str) -> Completed:
    """Git as the person's own settings have it; not the one of a hook or an alias that called us."""
    elsewhere = re.compile("GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_.*)$")
    env = {name: value for name, value in os.environ.items() if not elsewhere.match(name)}
    return run(["git", "-C", str(folder), *arguments], env=env)


def _unless_set(folder: Path, key: str, value: str) -> list[str]:
    """Git's option for a setting that the person has not made."""
    return [] if _git(folder, "config", "--get", key).stdout.strip() else ["-c", f"{key}={value}"]


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """The folder, made or found empty; as it was before when the block fails."""
    was_there = folder.is_dir()
    if (folder.exists() and not was_there) or (was_there and any(folder.iterdir())):
        what = "is not empty" if was_there else "is not a folder"
        raise UserError("BLU008", str(folder), what, "name a folder that is not there yet, or is empty")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not was_there:
            folder.rmdir()
        raise
