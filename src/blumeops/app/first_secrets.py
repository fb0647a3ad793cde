"""A new lab's key and its first secrets: what `up` would otherwise make and commit behind the person's back.

What enters: the files of a lab, and where its key is to lie. What leaves: the key, and the files `secrets.sops.yaml`
and `.sops.yaml`. Promised: the key never lies in the lab's own folder; a key that is there is used and never written
over; a key that was made here goes again when the lab cannot be finished, so that nothing is left half-made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.site import SiteFolder
from blumeops.checks.check import check_folder
from blumeops.engines.local.folders import Folders, service_account
from blumeops.loop.admission import missing_secrets
from blumeops.loop.revision import Revision
from blumeops.render import local
from blumeops.secrets import age, rules, sops
from blumeops.secrets.generate import made
from blumeops.secrets.store import SopsStore
from blumeops.secrets.stores import Stores


@contextmanager
def key_of_new_lab(lab: Path, option: Path | None, env: Mapping[str, str], site: SiteFolder) -> Iterator[age.Key]:
    """The key: in the file `option`, else that of `SOPS_AGE_KEY_FILE`, else where `up` looks, in the state of `site`.

    Only a file that an environment names must be there; the others are made. If the block fails, a key that was made
    goes again. Raises UserError `BLU108` for a place below `lab`, `BLU502`, EngineError `BLU903`.
    """
    path = (option or site.age_key).expanduser().absolute()
    if not option and env.get(age.VARIABLE):
        path = Path(env[age.VARIABLE]).expanduser().absolute()
    if path.resolve().is_relative_to(lab.resolve()):
        hint = "name a place outside with --age-key"
        raise UserError("BLU108", str(path), "would put the key into the lab's own repository", hint)
    if not option and env.get(age.VARIABLE):
        yield age.load(path)
        return
    was_there, folder_was = path.exists(), path.parent.is_dir()
    if path == site.age_key.absolute():  # services' user must be able to walk through it, whatever our umask is
        Folders(site.path, service_account()).shared(site.path)
    key = age.load_or_create(path)
    try:
        yield key
    except BaseException:
        if not was_there:
            path.unlink(missing_ok=True)
            if not folder_was:
                path.parent.rmdir()
        raise


def first_secrets(lab: Path, key: age.Key) -> dict[str, bytes]:
    """The SOPS file with a value for every secret that the lab in this folder uses at site `here`, and the rule by
    which people's `sops` makes such a file. Empty where no secret is used. Raises what `sops` does."""
    checked = check_folder(lab)
    if checked.passed is None:  # the findings are told; `up` will refuse it as well
        return {}
    if checked.passed.lab.settings.secrets.here != "sops":
        return {}
    units = local.units(local.render(checked.passed))
    file = lab / sops.NAME
    before = file.read_bytes() if file.is_file() else None
    missing = missing_secrets(Revision("", (), checked.passed, units, before), Stores(key, key.path.parent))
    if not missing:
        return {}
    values = made(missing, SopsStore(before, key.path))
    return {sops.NAME: sops.updated(before, values, key), rules.NAME: rules.text(key.recipients)}
