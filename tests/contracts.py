"""What ``lint-imports`` is asked beside its own contracts; `.importlinter` names these classes."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules


class NoCircles(Contract):
    """No file needs itself by way of others; a package's own `__init__.py` counts as well."""

    type_name = "no_circles"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        circles = {}
        for module in sorted(graph.modules):
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if chain := graph.find_shortest_chain(imported, module):
                    circles.setdefault(frozenset(chain), [module, *chain])
        return ContractCheck(kept=not circles, metadata={"circles": list(circles.values())})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for circle in check.metadata["circles"]:
            output.print_error(f"{' -> '.join(circle)}: move what both need into a module of its own")


class Used(Contract):
    """Every module is an entry point, or one imports it, directly or by way of others."""

    type_name = "used"
    entry_points = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        entries = {m.name for m in module_expressions_to_modules(graph, self.entry_points, raise_if_unmatched=True)}
        used = entries.union(*(graph.find_upstream_modules(entry) for entry in entries))
        unused = [m for m in graph.modules - used if not any(name.startswith(f"{m}.") for name in used)]
        return ContractCheck(kept=not unused, metadata={"unused": sorted(unused)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module in check.metadata["unused"]:
            output.print_error(f"nothing uses {module}: delete it, or name it in .importlinter as an entry point")
