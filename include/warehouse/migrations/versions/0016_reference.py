"""What a registered version learnt from is kept in the warehouse too; the way back drops it, its artifact stays."""

from include.warehouse.migrate import run

revision = "0016"
down_revision = "0015"
NEW = {
    "table ml.profile": "Shape of what each model version learnt from, by feature, and of its test predictions",
    "column ml.profile.scope": "version; or window or snapshot, which are kept no more",
    "column ml.profile.scope_id": "Number of the version; start..end of the window; or snapshot_id",
    "column ml.profile.feature": "Feature, target, prediction or loss (its absolute error); * for all of them together",
    "column ml.profile.null_count": "Rows without a value; null for *",
    "column ml.profile.standard_deviation": "Standard deviation, in the feature''s unit, of all rows (n); "
    "of windows and snapshots that of a sample (n - 1)",
    "column ml.profile.reference": "Of * in scope version: all histograms by block, each value in its feature''s unit, "
    "as the bytes of its artifact reference.bin (NumPy npz), some 100 kB",
}
OLD = {
    "table ml.profile": "Shape of each feature, in a window or in a training snapshot",
    "column ml.profile.scope": "window or snapshot",
    "column ml.profile.scope_id": "start..end of the window, or snapshot_id",
    "column ml.profile.feature": "Feature",
    "column ml.profile.null_count": "Rows without a value",
    "column ml.profile.standard_deviation": "Standard deviation, in the feature''s unit",
}


def _scopes(*names: str) -> str:
    return f"drop constraint profile_scope_check, add constraint profile_scope_check check (scope in {names})"


def _comments(texts: dict[str, str]) -> list[str]:
    return [f"comment on {name} is '{text}'" for name, text in texts.items()]


upgrade = run(
    f"alter table ml.profile {_scopes('window', 'snapshot', 'version')}, add column reference bytea,"
    " alter column null_count drop not null",
    *_comments(NEW),
)
downgrade = run(
    "delete from ml.profile where scope = 'version'",
    f"alter table ml.profile {_scopes('window', 'snapshot')}, drop column reference,"
    " alter column null_count set not null",
    *_comments(OLD),
)
