"""The operator that waits for a person's approval."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator


class Approval(ApprovalOperator):
    """Wait for Approve or Reject, and hand on either with who and when.

    Airflow's own skips what comes next on a rejection, and then forgets who rejected: its answer reaches no XCom.
    """

    def skip(self, ti: Any, tasks: Any) -> None:
        """Skip nothing: a rejection, or an expiry, is recorded like an approval."""
