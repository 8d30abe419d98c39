"""The schemas raw, core, feature, ml, ops and mart, and their fixed tables."""

from include.warehouse.migrate import run, run_file

revision = "0001"
down_revision = None
upgrade = run_file("0001_base.sql")
downgrade = run(*(f"drop schema {schema} cascade" for schema in ("mart", "feature", "ml", "ops", "core", "raw")))
