"""What the help says beyond each argument: which commands belong together, and an example of each.

Data alone. A test holds that every command is in one group and has an example, and that the parser takes each of them.
"""

from __future__ import annotations

GROUPS = {
    "start": ("init", "doctor", "up", "down"),
    "look": ("status", "logs", "history", "show", "whatif"),
    "change": ("check", "plan", "preview", "lock", "sync", "rollback", "run"),
    "secrets": ("secret", "op", "connect"),
    "network": ("reach", "policy"),
    "other engines and forges": ("render", "hook", "comment"),
    "your shell and editor": ("completion", "schema"),
}
"""The order in which people meet them. Commands that only we call are in none."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "blumeops init ~/lab                   a lab to begin with",
        "blumeops up --lab ~/lab               run it here, until all is healthy",
        "blumeops status --wait --lab ~/lab    how it is, once it has settled",
    ),
    "init": ("blumeops init ~/lab --name home", "blumeops init ~/example --example blumeops"),
    "doctor": ("blumeops doctor --lab ~/lab",),
    "up": ("blumeops up --lab ~/lab", "blumeops up --share nas/music=~/Music", "blumeops up --prune-data"),
    "down": ("blumeops down --lab ~/lab",),
    "status": ("blumeops status --wait --timeout 90s", "blumeops status --json | jq .units"),
    "logs": ("blumeops logs miniflux postgresql --follow", "blumeops logs controller --since 2h --grep refused"),
    "history": ("blumeops history --limit 3",),
    "show": ("blumeops show miniflux",),
    "whatif": ("blumeops whatif postgresql", "blumeops whatif"),
    "check": ("blumeops check --lab ~/lab", "blumeops check --live"),
    "plan": (
        "blumeops plan --no-diff",
        "blumeops plan --from main",
        "blumeops plan --from main --to idea --merge-base --markdown > plan.md",
    ),
    "preview": (
        "blumeops preview faster-polling",
        "blumeops preview faster-polling miniflux",
        "blumeops preview faster-polling --down",
    ),
    "lock": ("blumeops lock", "blumeops lock --check --json"),
    "sync": ("blumeops sync",),
    "rollback": ("blumeops rollback", "blumeops rollback c3b8be6c"),
    "run": ("blumeops run borgmatic",),
    "secret list": ("blumeops secret list",),
    "secret check": ("blumeops secret check",),
    "secret set": ("blumeops secret set op://first/miniflux/admin-password < password.txt",),
    "secret rotate": ("blumeops secret rotate miniflux.database_password",),
    "secret recipients": ("blumeops secret recipients --add age1…",),
    "secret key": ("blumeops secret key --store-in-keyring",),
    "op read": ("blumeops op read --no-newline op://first/miniflux/admin-password",),
    "op inject": ("blumeops op inject --in-file config.tpl --out-file config",),
    "op item get": ("blumeops op item get miniflux --vault first --format json",),
    "op item list": ("blumeops op item list --vault first",),
    "op vault list": ("blumeops op vault list",),
    "op vault get": ("blumeops op vault get first",),
    "op document get": ("blumeops op document get certificate --out-file certificate.pem",),
    "op account list": ("blumeops op account list",),
    "op account get": ("blumeops op account get",),
    "op whoami": ("blumeops op whoami",),
    "op signin": ("blumeops op signin",),
    "op shim": ("blumeops op shim ~/.local/bin --lab ~/lab",),
    "connect serve": ("blumeops connect serve", "blumeops connect serve --file secrets.sops.yaml --age-key age.key"),
    "connect token create": ("blumeops connect token create --name cluster --vault first --expires 90d",),
    "connect token list": ("blumeops connect token list",),
    "connect token revoke": ("blumeops connect token revoke cluster",),
    "reach": ("blumeops reach household feed", "blumeops reach --matrix --csv > matrix.csv"),
    "policy check": ("blumeops policy check policy.hujson",),
    "policy test": ("blumeops policy test policy.hujson --nodes nodes.json",),
    "policy matrix": ("blumeops policy matrix policy.hujson --csv",),
    "render": (
        "blumeops render --out ~/rendered",
        "blumeops render --out ~/rendered --diff main",
        "blumeops render --out ~/rendered --preview miniflux=faster-polling",
    ),
    "hook install": ("blumeops hook install /srv/git/lab.git --branch main",),
    "hook remove": ("blumeops hook remove /srv/git/lab.git",),
    "hook status": ("blumeops hook status /srv/git/lab.git",),
    "hook workflow": ("blumeops hook workflow ~/lab", "blumeops hook workflow --for github"),
    "comment": ("blumeops comment https://forge.example.org/erich/lab/pulls/7 plan.md",),
    "completion": (
        "blumeops completion fish > ~/.config/fish/completions/blumeops.fish",
        "blumeops completion bash > ~/.local/share/bash-completion/completions/blumeops",
    ),
    "schema": ("blumeops schema --out ~/.cache/blumeops",),
}
"""By command: what can be typed, as it would be."""
