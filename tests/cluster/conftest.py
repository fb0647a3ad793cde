"""What the tests of this folder share: one control plane for all, a namespace for each.

Every test here has the marker `cluster`, without saying so: `-m cluster` runs them, `-m "not cluster"` none.
Run them in one process: each worker of pytest-xdist would start a control plane of its own (half a gigabyte).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .build import CONTROL_PLANE, DRIFT, NO_GO, NODE, BuildError, built, go_version
from .control_plane import ControlPlane, control_plane
from .node import Node, add_node, unavailable

HERE = Path(__file__).resolve().parent
CRDS = HERE.parents[2] / "shared" / "crds"
"""Custom resource definitions as published: data for tests, kept beside the repository."""
SECONDS = 120
"""What one test gets."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test of this folder, before pytest selects by marker."""
    item.add_marker(pytest.mark.cluster)
    if item.config.pluginmanager.hasplugin("timeout"):
        # The test alone: a fixture may have to build first, and bounds its own waits.
        item.add_marker(pytest.mark.timeout(SECONDS, func_only=True))


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> dict[str, Path]:
    """The programs of the control plane: built if need be, which takes minutes when cold."""
    return _built(pytestconfig, CONTROL_PLANE)


@pytest.fixture(scope="session")
def cluster(programs: dict[str, Path]) -> Iterator[ControlPlane]:
    """A control plane that is ready, shared by all tests of the session: leave nothing in it by fixed names."""
    with control_plane(programs) as plane:
        yield plane


@pytest.fixture(scope="session")
def crds(cluster: ControlPlane) -> list[str]:
    """The names of the custom resource definitions (Argo CD, External Secrets, CloudNativePG, Tailscale), installed."""
    if not CRDS.is_dir():
        pytest.skip("the published custom resource definitions are not here: expected in ../shared/crds")
    return cluster.install_crds(CRDS)


@pytest.fixture(scope="session")
def drift_programs(pytestconfig: pytest.Config) -> dict[str, Path]:
    """What operators fill in, and what Argo CD compares: their own code, built if need be. Empty where their source
    cannot be had."""
    try:
        return _built(pytestconfig, DRIFT)
    except BuildError as error:
        if any(word in str(error) for word in ("lookup", "Forbidden")):
            return {}
        raise


@pytest.fixture(scope="session")
def node_programs(pytestconfig: pytest.Config) -> dict[str, Path]:
    """The programs of a control plane and of a node."""
    if reason := unavailable():
        pytest.skip(reason)
    return _built(pytestconfig, (*CONTROL_PLANE, *NODE))


@pytest.fixture(scope="session")
def node(node_programs: dict[str, Path]) -> Iterator[Node]:
    """A node that runs pods, with a control plane of its own (`node.plane`): where `cluster` has none."""
    with control_plane(node_programs) as plane, add_node(plane, node_programs) as made:
        yield made


@pytest.fixture
def namespace(cluster: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own. It is deleted afterwards, with all that is in it."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.kubectl("create", "namespace", name).must()
    # Pods are refused until a controller has made the namespace's service account.
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s").must()
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false").must()


def _built(config: pytest.Config, names: Sequence[str]) -> dict[str, Path]:
    if go_version() is None:
        pytest.skip(NO_GO)
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # minutes of silence look like a hang
        return built(names, say=lambda line: print(line, flush=True))
