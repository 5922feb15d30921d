"""Log lines use no key that the logger writes itself: it would be overwritten, and what it said be lost."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What :mod:`streams.logs` writes into every line.
TAKEN = {"level", "event", "timestamp"}
_LEVELS = {"debug", "info", "warning", "error", "critical"}


def log_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            yield node


def test_no_log_line_uses_a_key_of_the_logger() -> None:
    n_lines, wrong = 0, []
    for folder in ("models", "schemas", "streams", "ops"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for call in log_calls(ast.parse(path.read_text(encoding="utf-8"))):
                n_lines += 1
                wrong += [f"{path.name}:{call.lineno}" for each in call.keywords if each.arg in TAKEN]
    assert n_lines > 50
    assert wrong == []
