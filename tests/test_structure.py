"""Files and functions that can be taken in at a glance, and modules that do not import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pennyweight"
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 60, 14
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The text of each file of the source, by its path."""
    texts = {str(file.relative_to(SOURCE)): file.read_text(encoding="utf-8") for file in sorted(SOURCE.rglob("*.py"))}
    assert len(texts) > 200
    return texts


@pytest.fixture(scope="module")
def functions(sources: Mapping[str, ast.Module]) -> dict[str, Function]:
    """Each function and method, by its file, line and name."""
    return {
        f"{name}:{node.lineno} {node.name}": node
        for name, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }


def whole_lines(function: Function) -> int:
    """Count the lines of a function with its signature and its docstring."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def parameters(function: Function) -> int:
    return len([*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs])


def test_a_file_holds_one_idea(files: dict[str, str]) -> None:
    lines = {name: len(text.splitlines()) for name, text in files.items()}
    assert {name: count for name, count in lines.items() if count > FILE_LINES} == {}


def test_a_function_fits_a_screen(functions: dict[str, Function]) -> None:
    lines = {place: whole_lines(function) for place, function in functions.items()}
    assert {place: count for place, count in lines.items() if count > FUNCTION_LINES} == {}


def test_a_public_function_takes_few_parameters(functions: dict[str, Function]) -> None:
    """Commands alone take more: their signatures are the tables of their options."""
    counts = {
        place: parameters(function)
        for place, function in functions.items()
        if not function.name.startswith("_") and not place.startswith("cli")
    }
    assert {place: count for place, count in counts.items() if count > PARAMETERS} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("pennyweight", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    TopologicalSorter(imports).prepare()  # raises an error that names the circle
