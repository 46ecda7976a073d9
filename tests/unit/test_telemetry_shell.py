"""How text with references to variables is quoted for a shell."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.cli.shell import quote_shown


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", "plain"),
        ("two words", "'two words'"),
        ("Bearer ${TOKEN}", '"Bearer $TOKEN"'),
        ("${env:TOKEN}", '"$TOKEN"'),
        ("${TOKEN:-x}", '"$TOKEN"'),
        ("${A}b", '"${A}b"'),
        ("${A}${B}", '"$A$B"'),
        ("it's ${A}", """'it'"'"'s '"${A}\""""),
        ("${file:/run/secret}", "'***'"),
        ("${input:key}", "'***'"),
        ("$HOME", "'$HOME'"),
    ],
)
def test_a_reference_becomes_a_variable_and_all_else_is_text(text: str, quoted: str) -> None:
    assert quote_shown(text) == quoted


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.sampled_from(["${A}", "$A", "'", '"', "`id`", "\\", "!", "x", " ", "\n", "é"])))
def test_a_shell_reads_back_every_text_with_the_variable_in_it(parts: list[str]) -> None:
    text = "".join(parts)
    command = ["/bin/sh", "-c", f"printf %s {quote_shown(text) or repr('')}"]
    done = subprocess.run(
        command, env={"A": "va'l $x"}, capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == text.replace("${A}", "va'l $x")
