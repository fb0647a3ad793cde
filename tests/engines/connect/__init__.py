"""The Connect API in front of a SOPS file, asked by 1Password's own clients."""
