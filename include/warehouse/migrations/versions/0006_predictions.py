"""Predictions with the time they speak of, and what was live when."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    sql = Path(__file__).parents[2] / "sql" / "0006_predictions.sql"
    op.get_bind().exec_driver_sql(sql.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("drop view mart.prediction_vs_actual, mart.latest_prediction, mart.live_version")
    op.execute("delete from ml.prediction where kind <> 'batch'")
    op.execute("alter table ml.prediction add column is_seen boolean")
    op.execute("update ml.prediction set is_seen = not is_honest")
    op.execute("alter table ml.prediction drop constraint prediction_pkey, drop column prediction_id, drop column kind,"
               " drop column target_at, drop column is_honest, alter column is_seen set not null,"
               " alter column entity set not null, alter column valid_at set not null,"
               " alter column lower_bound set not null, alter column upper_bound set not null,"
               " add primary key (pipeline, entity, valid_at, model_version)")  # fmt: skip
    op.execute("create view mart.latest_prediction as select distinct on (pipeline, entity, valid_at) pipeline, entity,"
               " valid_at, predicted, lower_bound, upper_bound, model_version, is_seen, is_simulated, predicted_at"
               " from ml.prediction order by pipeline, entity, valid_at, model_version desc")  # fmt: skip
    op.execute("alter table ml.drift drop column run_id, add primary key"
               " (pipeline, window_start_at, window_end_at, model_version, feature)")  # fmt: skip
    op.execute("alter table ml.performance drop column run_id, add primary key"
               " (pipeline, window_start_at, window_end_at, model_version)")  # fmt: skip
