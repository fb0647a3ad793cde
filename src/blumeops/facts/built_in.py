"""What site `here` has built in: by app, what stands in for it there. Everybody else runs the real one."""

BUILT_IN = {
    "forgejo": "the built-in forge",
    "argocd": "the loop, which applies each revision",
    "external-secrets": "the delivery of secrets to processes",
    "onepassword-connect": "the SOPS file",
    "cloudnative-pg": "the local PostgreSQL",
    "tailscale-operator": "loopback",
}
