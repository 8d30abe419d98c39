"""Predictions with the time they speak of, and what was live when."""

from include.warehouse.migrate import run, run_file

revision = "0006"
down_revision = "0005"
upgrade = run_file("0006_predictions.sql")
downgrade = run(
    "drop view mart.prediction_vs_actual, mart.latest_prediction, mart.live_version",
    "delete from ml.prediction where kind <> 'batch'",
    "alter table ml.prediction add column is_seen boolean",
    "update ml.prediction set is_seen = not is_honest",
    "alter table ml.prediction drop constraint prediction_pkey, drop column prediction_id, drop column kind,"
    " drop column target_at, drop column is_honest, alter column is_seen set not null,"
    " alter column entity set not null, alter column valid_at set not null,"
    " alter column lower_bound set not null, alter column upper_bound set not null,"
    " add primary key (pipeline, entity, valid_at, model_version)",
    "create view mart.latest_prediction as select distinct on (pipeline, entity, valid_at) pipeline, entity,"
    " valid_at, predicted, lower_bound, upper_bound, model_version, is_seen, is_simulated, predicted_at"
    " from ml.prediction order by pipeline, entity, valid_at, model_version desc",
    "alter table ml.drift drop column run_id, add primary key"
    " (pipeline, window_start_at, window_end_at, model_version, feature)",
    "alter table ml.performance drop column run_id, add primary key"
    " (pipeline, window_start_at, window_end_at, model_version)",
)
