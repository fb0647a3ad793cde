"""Tailscale policies: read and checked, compiled for each node, evaluated, and held against their own tests.

The public face, for a policy file of anybody's or for one that is derived:

    read = policy.read(text, "policy.hujson")         # or policy.build(data, place), from values of our own
    engine = policy.Engine(read.policy, tailnet)      # read.policy is None when a finding is an error
    engine.decide("laptop", "nas", 443).because       # the rules that allow it, each with its place
    engine.matrix(columns), engine.filter("nas"), engine.ssh("nas"), policy.run_tests(read.policy, tailnet)

Pure: no network, no clock, no process. docs/reference/policy.md says what is understood.
"""

from __future__ import annotations

from blumeops.facts.policy.engine import Engine
from blumeops.facts.policy.hujson import Placed
from blumeops.facts.policy.matrix import Column, Matrix
from blumeops.facts.policy.model import Policy, Rule
from blumeops.facts.policy.read import Read, build, read
from blumeops.facts.policy.tailnet import Node, Service, Tailnet
from blumeops.facts.policy.tailnet import read as read_tailnet
from blumeops.facts.policy.trials import Trial, foreign_domains
from blumeops.facts.policy.trials import run as run_tests

__all__ = [
    "Column", "Engine", "Matrix", "Node", "Placed", "Policy", "Read", "Rule", "Service", "Tailnet", "Trial", "build",
    "foreign_domains", "read", "read_tailnet", "run_tests",
]  # fmt: skip
