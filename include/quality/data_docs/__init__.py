"""Data Docs: what the check of a batch found, as HTML pages a person reads; they need no network and no script.

``report`` is what a page says, ``pages`` renders it, ``files`` keeps it and says where it lies.
"""
