"""`.sops.yaml`: the rule by which people's own `sops` makes and edits the lab's SOPS file. No secret is in it."""

from __future__ import annotations

from collections.abc import Sequence

from blumeops.secrets import sops

NAME = ".sops.yaml"


def text(recipients: Sequence[str]) -> bytes:
    """One creation rule (https://getsops.io/docs/#using-sopsyaml-conf-to-select-kms-pgp-and-age-for-new-files)."""
    keys = ",\n      ".join(recipients)
    return f"""\
# Whose age keys open the lab's secrets: read by `sops {sops.NAME}`. No secret is in here.
creation_rules:
  - path_regex: (^|/){sops.NAME.replace(".", "[.]")}$
    encrypted_regex: "."
    age: >-
      {keys}
""".encode()
