"""Making mutants: one small change of a module's logic each, as a programmer's slip would be."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
# Calls whose cause (a word on record) is logic, and which of their arguments it is; other texts are not mutated.
_CAUSES = {"undecidable": 1, "Objection": 0, "Share": 1}


@dataclass(frozen=True)
class Mutant:
    """A module with one change. `line` and `change` say which."""

    module: str
    path: Path
    line: int
    change: str
    source: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.change}"


def mutants_of(module: str, path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    decorations = {id(inner) for node in ast.walk(tree) for inner in _decorations(node)}
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in decorations:
            continue  # frozen=True and the like are no logic of ours
        for number, (_, change) in enumerate(_changes(node)):
            mutated = copy.deepcopy(tree)
            _apply(mutated, place, number)
            line = getattr(node, "lineno", 0)
            yield Mutant(module, path, line, change, ast.unparse(ast.fix_missing_locations(mutated)))


def _decorations(node: ast.AST) -> Iterator[ast.AST]:
    for decorator in getattr(node, "decorator_list", ()):
        yield from ast.walk(decorator)


def _apply(tree: ast.Module, place: int, number: int) -> None:
    node = next(found for index, found in enumerate(ast.walk(tree)) if index == place)
    fields, _ = list(_changes(node))[number]
    for name, value in fields.items():
        setattr(node, name, value)


def _changes(node: ast.AST) -> Iterator[tuple[dict[str, object], str]]:
    """Yield the fields of a node to set, and the change in words."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _COMPARED[type(operator)]:
                ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield {"ops": ops}, f"{type(operator).__name__} -> {other.__name__} in {ast.unparse(node)}"
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        other_op = _COMPUTED[type(node.op)]
        yield {"op": other_op()}, f"{type(node.op).__name__} -> {other_op.__name__} in {ast.unparse(node)}"
    elif isinstance(node, ast.BoolOp):
        other_bool = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield {"op": other_bool()}, f"and/or swapped in {ast.unparse(node)}"
    elif isinstance(node, ast.If | ast.IfExp):
        yield {"test": ast.UnaryOp(ast.Not(), node.test)}, f"if not {ast.unparse(node.test)}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield {"op": ast.UAdd()}, f"sign dropped in {ast.unparse(node)}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield {"value": not node.value}, f"{node.value} -> {not node.value}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield {"value": node.value + 1}, f"{node.value!r} -> {node.value + 1!r}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CAUSES:
        index = _CAUSES[node.func.id]
        if len(node.args) > index and isinstance(node.args[index], ast.Constant) and node.args[index].value:  # type: ignore[attr-defined]
            args: list[ast.expr] = [*node.args]
            args[index] = ast.Constant("another_cause")
            yield {"args": args}, f"another cause in {ast.unparse(node)[:60]}"
