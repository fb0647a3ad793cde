"""A lab as network namespaces: packet filters that Linux enforces, real Caddy, real connections."""
