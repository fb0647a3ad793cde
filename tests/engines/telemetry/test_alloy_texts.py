"""Every text comes out of Alloy's own parser as it went into a configuration."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blumeops.render.telemetry.alloy.syntax import Block, Said, Value, write
from tests.engines.telemetry.readers import read_alloy
from tests.unit.test_render_kubernetes_text import HOSTILE

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(HOSTILE)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, min_size=10, max_size=30))
def test_every_text_comes_out_as_it_went_in(tmp_path_factory: object, texts: list[str]) -> None:
    """As a value, in a list, in a map, in a text of several pieces, and beside a comment of the same words. (Keys are
    ours: what Alloy reads as one it takes as it is written, escapes and all.)"""
    folder = tmp_path_factory.mktemp("alloy")  # type: ignore[attr-defined]  # pytest's own
    listed: list[Value] = list(texts)
    values: dict[str, Value] = {f"v{number}": each for number, each in enumerate(texts)}
    keys: dict[str, Value] = {f"key_{number}": each for number, each in enumerate(texts)}
    inner = Block("inner", values={"pieces": Said((texts[0], "|", texts[1])), "list": listed})
    block = Block("some.block", "label", {**values, "map": keys}, [inner], about=texts[2])
    file = folder / "config.alloy"
    file.write_bytes("".join(map(str, write([block]))).encode())
    (found,) = read_alloy(file)["blocks"]
    assert found["values"] == {**values, "map": keys}
    assert found["blocks"][0]["values"] == {"pieces": f"{texts[0]}|{texts[1]}", "list": texts}
