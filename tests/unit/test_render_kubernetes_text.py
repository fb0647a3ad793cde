"""Every text comes out of a manifest as it went in: through YAML, Kubernetes' `$(NAME)` and Go's templates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blumeops.checks.check import check_folder
from blumeops.facts.parts import SecretValue
from blumeops.render.kubernetes.manifest import dump
from blumeops.render.kubernetes.places import Site
from blumeops.render.kubernetes.words import Words, argument, variables

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTILE = [
    "", " ", "\n", "\n\n", "a\n", "a\n\n\n", "\na", " a\n b", "a \nb", "a\tb", "\ta\nb", "a\n\tb\n", "a\r\nb", "\r",
    # What YAML has a meaning for.
    "'", '"', '"a" \'b\'', "\\", "\\n", "a: b", "a #b", "# a", "- a", "? a", "! a", "!a", "&a", "*a", "@a", "`a`", "%a",
    "{a}", "[a]", "a,b", "|", ">", "---", "---\na", "...", "=", "<<", "~", "null", "Null",
    "y", "N", "yes", "on", "Off", "true", "False",
    "1", "-1", "+1", "01", "0o7", "0x1F", "0b1", "1_000", "1e3", "1E+3", ".5", "1.", "-.inf", ".NaN",
    "12:30", "12:30:45", "2024-01-01", "2024-01-01T00:00:00Z", "1.2.3", "128Mi", "é ü", "日本", "🎵",
    "\u00a0", "a\u2028b", "a\u0085b", "\ufeffa", "\x7f", "\x01",
    # What Go's templates, then what Kubernetes has a meaning for.
    "{{", "}}", "{", "}", "{{ .secret }}", "{{/* x */}}", "{{- 1 -}}", "{{{", "{{{{",
    "a{", "{a", "{ {", "{%", "{{`x`}}", "\\{{", '{{ "{" }}',
    "$", "$$", "$$$", "$(A)", "$$(A)", "$(", "a$", "$(A", "$A", "$(A)$$", "${A}",
]  # fmt: skip


def test_yaml_gives_back_every_text() -> None:
    """A reader of YAML 1.1 finds each text as the text it was, as a value and as a key."""
    data = {f"k{number}": text for number, text in enumerate(HOSTILE)} | dict.fromkeys(HOSTILE, "key")
    assert yaml.safe_load(dump("x", [data])) == data


ANYTHING = st.recursive(
    st.text() | st.text("ab \n\t:#-{'\"|>") | st.booleans() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=20), ANYTHING, min_size=1, max_size=4))
def test_yaml_gives_back_everything(data: dict[str, object]) -> None:
    """However maps, lists and texts lie in each other."""
    assert yaml.safe_load(dump("x", [data])) == data


def test_kubectl_gives_back_every_text(tmp_path: Path) -> None:
    """The reader of kubectl and Argo CD, in Go, finds the same."""
    data = {f"k{number}": text for number, text in enumerate(HOSTILE)}
    assert read_by_go(tmp_path, dump("x", [data]).decode()) == data


def test_without_our_quotes_a_reader_would_err(tmp_path: Path) -> None:
    """The quotes are for something: bare, that reader takes each of these for something else than text."""
    bare = ["1e3", "0o7", "1_000", "0b1", "on", "yes", "null", "~"]
    found = read_by_go(tmp_path, "".join(f"k{number}: {text}\n" for number, text in enumerate(bare)))
    assert [text for text, value in zip(bare, found.values(), strict=True) if value == text] == []


def read_by_go(folder: Path, text: str) -> dict[str, object]:
    """YAML as sigs.k8s.io/yaml reads it."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the reader of kubectl cannot be asked")
    (folder / "main.go").write_text("""package main

import (
	"io"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	said, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(said)
}
""")
    found: dict[str, object] = json.loads(go(REPOSITORY / "tests" / "cluster", folder / "main.go", text))
    return found


def test_several_lines_can_be_read() -> None:
    """A file stands in its ConfigMap as its author wrote it, tabs and all."""
    assert dump("x", [{"a": "one {\n\ttwo\n}\n"}]) == b"# x\na: |\n  one {\n  \ttwo\n  }\n"


def test_go_gives_back_every_literal(tmp_path: Path, first_words: Words) -> None:
    """The real text/template prints each literal as it was, with a secret before, between and behind."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: its text/template cannot be asked")
    secret = SecretValue("op://v/item/field")
    names = variables([secret.reference])
    texts = [(text, secret, text, secret, text) for text in HOSTILE] + [("{", "{", secret, "{{", "{")]
    templates = [first_words.template(text, names) for text in texts]
    (tmp_path / "main.go").write_text("""package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

func main() {
	var texts, said []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	for _, text := range texts {
		var out strings.Builder
		made := template.Must(template.New("").Option("missingkey=error").Parse(text))
		if err := made.Execute(&out, map[string]string{"item_field": "{{ s$(A)'\\"< }}"}); err != nil {
			panic(err)
		}
		said = append(said, out.String())
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
""")
    said = go(tmp_path, tmp_path / "main.go", json.dumps(templates))
    value = "{{ s$(A)'\"< }}"
    assert json.loads(said) == ["".join(value if part is secret else str(part) for part in text) for text in texts]


def test_kubernetes_gives_back_every_argument(tmp_path: Path) -> None:
    """Kubernetes' own expansion of `$(NAME)` leaves each argument as it was, though A is a variable."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: Kubernetes' expansion cannot be asked")
    (tmp_path / "main.go").write_text("""package main

import (
	"encoding/json"
	"os"

	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

func main() {
	var texts, said []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	for _, text := range texts {
		said = append(said, expansion.Expand(text, expansion.MappingFuncFor(map[string]string{"A": "wrong"})))
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
""")
    said = go(REPOSITORY / "tests" / "cluster", tmp_path / "main.go", json.dumps([argument(text) for text in HOSTILE]))
    assert json.loads(said) == HOSTILE


def go(folder: Path, program: Path, stdin: str) -> str:
    """Run a program in the module of `folder`; skip when a module that it needs is not on this machine."""
    environment = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", "run", program], cwd=folder, input=stdin, env=environment, capture_output=True,
                          text=True, timeout=50, check=False)  # fmt: skip
    if "module lookup disabled by GOPROXY=off" in done.stderr:
        pytest.skip("Kubernetes' source is not in Go's module cache")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_words() -> Words:
    """The words of a service of the first lab: literals and secrets are the same in all."""
    checked = check_folder(REPOSITORY / "labs" / "first")
    assert checked.passed
    return Words(Site(checked.passed.lab, checked.passed.facts), checked.facts.services["miniflux"])


def test_a_reference_has_a_name_that_go_can_say() -> None:
    """Whatever an item is called; two references never share a name."""
    found = variables(["op://v/a b/c", "op://v/a.b/c", "op://v/1/x", "op://v/é/é", "op://v/a/b/c"])
    assert len(set(found.values())) == len(found)
    assert all(name.isascii() and name.isidentifier() for name in found.values())
