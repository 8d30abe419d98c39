"""Python source as a tree, for tests that read the code itself."""

import ast
import gc


def parse(source: str) -> ast.Module:
    """Return the tree of a source.

    Without the collector meanwhile: a finalizer may let another thread parse, and Python 3.11 counts the depth of
    both in one place, so that one of them ends in a SystemError.
    """
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
