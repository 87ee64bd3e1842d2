"""What needs a cluster: `make cluster` runs it in an environment of its own."""
