"""The program `op` in front of a store, and Ansible in front of that."""
