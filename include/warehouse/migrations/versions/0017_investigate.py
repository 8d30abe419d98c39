"""People are told when the monitor begins to doubt."""

from include.warehouse.migrate import run

revision = "0017"
down_revision = "0016"
upgrade = run("comment on column ops.alert.kind is 'failure, quality, overdue, retrain, investigate or promotion'")
downgrade = run("comment on column ops.alert.kind is 'failure, quality, overdue, retrain or promotion'")
