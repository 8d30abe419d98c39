"""Data Docs: what the check of a batch found, as HTML pages a person reads; they need no network and no script.

``names`` says where a page lies, ``report`` is what a page says, ``pages`` renders it, ``files`` keeps it.
"""

from include.quality.data_docs.files import sweep, write
from include.quality.data_docs.report import Report, examples

__all__ = ["Report", "examples", "sweep", "write"]
