"""Engines make units real, each through its real tool. One package an engine; none imports another."""
