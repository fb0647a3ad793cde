"""What follows from the description: wiring, names and routes, the dependency graph, secret references."""
