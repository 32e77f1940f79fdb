"""Mutants that exist in two versions of the package: the same small fault in the same function."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
KINDS = ("operator", "constant", "dropped call")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Function:
    """A function of the package; ``shape`` is equal in two versions if only names of locals and docstrings differ."""

    file: str
    name: str
    node: FunctionNode
    shape: str


@dataclass(frozen=True)
class Mutant:
    """One fault: the ``position``-th node of the function's body is changed.

    ``statement`` is the innermost statement around that node, as it is before.
    """

    function: str
    kind: str
    position: int
    statement: str
    change: str

    @property
    def key(self) -> str:
        """Name without the statement, in which locals may have other names in another version."""
        return f"{self.function} #{self.position}: {self.change}"

    def __str__(self) -> str:
        return f"{self.function}: {self.change} in `{self.statement}`"


def functions_of(root: Path) -> dict[str, Function]:
    """Functions and methods of the package below ``root`` by qualified name; names that occur twice are left out."""
    every: defaultdict[str, list[Function]] = defaultdict(list)
    for path in sorted((root / "mllm_probe").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, node in _functions(tree):
            every[name].append(Function(path.relative_to(root).as_posix(), name, node, shape_of(node)))
    return {name: functions[0] for name, functions in every.items() if len(functions) == 1}


def _functions(tree: ast.Module) -> Iterator[tuple[str, FunctionNode]]:
    """Functions of a module and methods of its classes, with qualified names; those within a function belong to it."""
    for node in tree.body:
        if isinstance(node, FunctionNode):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{part.name}", part) for part in node.body if isinstance(part, FunctionNode))


def without_docstring(node: FunctionNode) -> FunctionNode:
    """Copy of a function without its docstring, so that positions are the same whatever it says."""
    node = copy.deepcopy(node)
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    return node


def shape_of(node: FunctionNode) -> str:
    """Source text without docstring, comments and annotations; locals are numbered in the order in which they occur."""
    node = without_docstring(node)
    node.returns = None
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            part.annotation = None
    numbers: dict[str, str] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            numbers.setdefault(part.id, f"local{len(numbers)}")
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            part.id = numbers.get(part.id, part.id)
    return ast.unparse(ast.fix_missing_locations(node))


def mutants_of(function: Function) -> list[Mutant]:
    """Every mutant of a function. What only words a message (f-strings, ``raise``) and annotations are left out."""
    node = without_docstring(function.node)
    return [
        Mutant(function.name, kind, position, ast.unparse(_header(statement)), change)
        for position, (part, statement) in enumerate(_walk(node))
        for kind, change in [_fault(part)]
        if kind and statement is not None
    ]


def _walk(node: ast.AST, statement: ast.stmt | None = None) -> Iterator[tuple[ast.AST, ast.stmt | None]]:
    """Nodes of a function's body, each with its innermost statement; messages and annotations are left out."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr | ast.arguments):
                continue
            around = child if isinstance(child, ast.stmt) else statement
            yield child, around
            yield from _walk(child, around)


def _header(statement: ast.stmt) -> ast.stmt:
    """The statement without the statements within it, which would make its name a page."""
    if not isinstance(getattr(statement, "body", None), list):
        return statement
    statement = copy.deepcopy(statement)
    statement.body = [ast.Expr(ast.Constant(...))]  # type: ignore[attr-defined]
    for field in ("orelse", "finalbody"):
        if getattr(statement, field, None):
            setattr(statement, field, [])
    return ast.fix_missing_locations(statement)


def _fault(node: ast.AST) -> tuple[str, str]:
    """Kind of the fault that a node takes, and the change in words; empty texts for nodes that take none."""
    match node:
        case ast.Compare(ops=[first, *_]) if type(first) in COMPARISONS:
            return "operator", f"{type(first).__name__} becomes {COMPARISONS[type(first)].__name__}"
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC:
            return "operator", f"{type(operator).__name__} becomes {ARITHMETIC[type(operator)].__name__}"
        case ast.BoolOp(op=operator):
            return "operator", "And becomes Or" if isinstance(operator, ast.And) else "Or becomes And"
        case ast.UnaryOp(op=ast.Not()):
            return "operator", "not is dropped"
        case ast.Constant(value=bool() | int() | float() as value):
            return "constant", f"{value} becomes {_other_value(value)}"
        case ast.Expr(value=ast.Call()):
            return "dropped call", "the call is dropped"
    return "", ""


def _other_value(value: bool | float) -> bool | float:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else (value * 1.5 or 1.0)


def source_with(root: Path, function: Function, mutant: Mutant | None, *, first: str = "") -> str:
    """Source of the function's file with the mutant in it, and with the statement ``first`` before its others."""
    node = without_docstring(function.node)
    if mutant is not None:
        _change(node, mutant.position)
    if first:
        node.body = [*ast.parse(first).body, *node.body]
    if ast.get_docstring(function.node, clean=False) is not None:
        node.body.insert(0, function.node.body[0])  # the help of a command is read from it
    lines = (root / function.file).read_text(encoding="utf-8").splitlines()
    begin = min([function.node.lineno, *(part.lineno for part in function.node.decorator_list)])
    text = ast.unparse(ast.fix_missing_locations(node))
    indented = [" " * function.node.col_offset + line if line else line for line in text.splitlines()]
    return "\n".join([*lines[: begin - 1], *indented, *lines[function.node.end_lineno or begin :], ""])


def _change(node: FunctionNode, position: int) -> None:
    """Make the fault at a position."""
    part = next(part for place, (part, _) in enumerate(_walk(node)) if place == position)
    match part:
        case ast.Compare():
            part.ops[0] = COMPARISONS[type(part.ops[0])]()
        case ast.BinOp():
            part.op = ARITHMETIC[type(part.op)]()
        case ast.BoolOp():
            part.op = ast.Or() if isinstance(part.op, ast.And) else ast.And()
        case ast.Constant(value=bool() | int() | float() as value):
            part.value = _other_value(value)
        case ast.Expr():
            part.value = ast.Constant(None)
        case ast.UnaryOp():
            _Replacement(part, part.operand).visit(node)


class _Replacement(ast.NodeTransformer):
    """Puts another expression in the place of one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        """The new one for the old one; others are walked through."""
        return self.new if node is self.old else self.generic_visit(node)


def choose(roots: tuple[Path, Path], count: int, seed: int) -> list[Mutant]:
    """Draw mutants that exist in both versions: equal shares of the kinds, at most one in a function.

    Raises
    ------
    ValueError
        If the versions share fewer.
    """
    first, second = (functions_of(root) for root in roots)
    shared = [name for name in sorted(first) if name in second and first[name].shape == second[name].shape]
    by_kind: defaultdict[str, list[Mutant]] = defaultdict(list)
    for name in shared:
        for mutant in mutants_of(first[name]):
            by_kind[mutant.kind].append(mutant)
    drawn: list[Mutant] = []
    used = Counter[str]()
    for number, kind in enumerate(KINDS):
        share = count // len(KINDS) + (number < count % len(KINDS))
        # Ordered by hashes, so that a function that changes takes its own mutants out and moves no others.
        pool = sorted(by_kind[kind], key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
        fresh: list[Mutant] = []
        for mutant in pool:
            if len(fresh) < share and not used[mutant.function]:
                used[mutant.function] += 1
                fresh.append(mutant)
        if len(fresh) < share:
            raise ValueError(f"expected {share} mutants of kind {kind}; the versions share {len(fresh)}.")
        drawn += fresh
    return drawn
