"""Rules written as expressions over columns, such as ``high >= low``: what they may contain, and what they read.

A small part of Python's own grammar, and of what ``pandas.DataFrame.eval`` runs: column names,
numbers and texts in quotes, ``+ - * / **``, comparisons, ``in``, ``and or not`` and the functions below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

FUNCTIONS = ("abs", "exp", "log", "sqrt")
_NODES = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Call),
)
_TRUTHS = (ast.Compare, ast.BoolOp)


def names(expression: str) -> list[str]:
    """Return the columns an expression reads, in order of appearance.

    Raises
    ------
    ValueError
        It cannot be read, holds something else than the grammar above, or gives no yes or no.

    Examples
    --------
    >>> names("abs(net_usd) <= amount_usd and side_code in ['buy', 'sell']")
    ['net_usd', 'amount_usd', 'side_code']
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{expression!r} cannot be read; write it like 'high >= low'") from None
    if fault := next(_faults(tree), None):
        raise ValueError(f"{expression!r} {fault}")
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    ordered = sorted(nodes, key=lambda node: (node.lineno, node.col_offset))
    if not ordered:
        raise ValueError(f"{expression!r} reads no column; compare at least one")
    return list(dict.fromkeys(node.id for node in ordered))


def _faults(tree: ast.Expression) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            yield f"holds a {type(node).__name__.lower()}, which no rule may; use comparisons, + - * / and {_listed()}"
        elif isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and len(node.args) == 1 and not node.keywords
        ):
            yield f"calls something else than {_listed()} of one value"
        elif isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
            yield f"holds {node.value!r}; compare with numbers and texts"
    if not _is_truth(tree.body):
        yield "gives no yes or no; compare something, as in 'high >= low'"


def _is_truth(node: ast.expr) -> bool:
    return isinstance(node, _TRUTHS) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _listed() -> str:
    return ", ".join(FUNCTIONS)
