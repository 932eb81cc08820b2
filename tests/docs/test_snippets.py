"""Every snippet of the documents and every example runs, as a reader would run it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NODE_MODULES = ROOT / "bindings-node" / "node_modules"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
DOCUMENTS = sorted(ROOT.glob("*.md"))


def snippets(language: str) -> list[object]:
    """All fenced blocks of a language, named by document and line."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{document.name}:{line}"))
    return found


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


def node_folder(folder: Path) -> Path:
    """A project of a user's own, with the package and the SDKs installed."""
    modules = folder / "node_modules"
    modules.mkdir()
    for name in ("openai", "@anthropic-ai"):
        (modules / name).symlink_to(NODE_MODULES / name)
    (modules / "spendrail").symlink_to(ROOT / "bindings-node")
    return folder


@pytest.mark.parametrize("code", snippets("python"))
def test_python(code: str, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "snippet.py").write_text(code)
    assert run([sys.executable, "snippet.py"], tmp_path, environment)


@pytest.mark.parametrize("code", snippets("js"))
def test_node(code: str, tmp_path: Path, environment: dict[str, str]) -> None:
    (node_folder(tmp_path) / "snippet.mjs").write_text(code)
    assert run(["node", "snippet.mjs"], tmp_path, environment)


@pytest.mark.parametrize("text", snippets("toml"))
def test_configuration(text: str, tmp_path: Path) -> None:
    import spendrail

    (tmp_path / "prices").mkdir()
    (tmp_path / "spendrail.toml").write_text(text)
    guard = spendrail.Guard(str(tmp_path / "spendrail.toml"))
    assert guard.warnings == []
    guard.close()


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "python").glob("*.py")), ids=lambda p: p.name)
def test_python_example(path: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    assert run([sys.executable, str(path)], tmp_path, environment)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "node").glob("*.mjs")), ids=lambda p: p.name)
def test_node_example(path: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    shutil.copy(path, node_folder(tmp_path) / path.name)
    assert run(["node", path.name], tmp_path, environment)


def test_there_is_something_to_run() -> None:
    assert snippets("python") and snippets("js") and snippets("toml")
