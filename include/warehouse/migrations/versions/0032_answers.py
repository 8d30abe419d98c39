"""An answer without times is in no index of times."""

from include.warehouse.migrate import run, run_file

revision = "0032"
down_revision = "0031"
upgrade = run_file("0032_answers.sql")
downgrade = run(
    "drop index ml.prediction_by_time, ml.prediction_by_target",
    "create index prediction_by_time on ml.prediction (pipeline, valid_at)",
    "create index prediction_by_target on ml.prediction (pipeline, target_at)",
)
