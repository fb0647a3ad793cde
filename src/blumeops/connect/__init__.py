"""1Password's two doors in front of a store of our own: what its `op` command answers, and its Connect API."""
