"""The 28 tests of the ML Test Score, and where each has its evidence in the warehouse.

Source: Breck, Cai, Nielsen, Salib and Sculley, "The ML Test Score: A Rubric for ML Production Readiness and Technical
Debt Reduction", IEEE Big Data 2017. A test counts 1 where it is done and recorded automatically for every pipeline, 0.5
where it is done by hand and written down, or for some pipelines only. The least of the four sections is the score.
"""

from __future__ import annotations

from typing import NamedTuple

SECTIONS = ("data", "model", "infrastructure", "monitoring")


class Test(NamedTuple):
    """One of the 28.

    Attributes
    ----------
    query : str
        Returns a row a pipeline that was looked at: `pipeline`, `is_met`, `evidence` in words. It may read the relation
        `live`: of each pipeline's live version its `version`, and `evidence`, `rules` of the decision that promoted it.
    link : str
        Where the evidence is looked at: a page below ``/ciclo``, or a document.
    by_hand : str
        Document with the steps by which a person does this very test, which it names; empty where nobody does.
    """

    section: str
    name: str
    query: str
    link: str
    by_hand: str = ""


# The decision that promoted what is live; %(pipelines)s are those that can be loaded.
LIVE = """
with pipelines as (select unnest(%(pipelines)s::text[]) as pipeline),
live as (
    select p.pipeline, l.version, d.evidence, d.evidence->'rules' as rules
    from pipelines p cross join lateral ml.live_at(p.pipeline, 'infinity') l join lateral (
        select evidence from ml.decision d where (d.pipeline, d.model_version) = (p.pipeline, l.version)
            and d.verdict = 'promote' and d.evidence ? 'rules' order by decision_id desc limit 1
    ) d on true
)
"""


def _rule(name: str) -> str:
    """Return the query of a rule of the gate that the live version has passed."""
    return f"""
select pipeline, r->>'status' = 'passed' as is_met, 'version ' || version || ' ' || (r->>'text') as evidence
from live, jsonb_array_elements(rules) r where r->>'rule' = '{name}'
"""


def _drill(kind: str, most_seconds: float = 3600) -> str:
    """Return the query of the newest rehearsal of a kind, which may take so long."""
    return f"""
select distinct on (pipeline) pipeline, status = 'identical' and seconds <= {most_seconds} as is_met,
    format('%%s, rehearsed %%s in %%s s', reason, to_char(drilled_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        round(seconds::numeric, 1)) as evidence
from ml.drill where kind = '{kind}' order by pipeline, drilled_at desc
"""


def _measured(kinds: str, where: str = "") -> str:
    """Return the query of what the monitor measured of kinds of statistics; unknown is no measure."""
    return f"""
select pipeline, true as is_met, format('%%s figures (%%s) of %%s windows', count(*),
    string_agg(distinct statistic, ', '), count(distinct window_end_at)) as evidence
from (select * from ml.drift union all select * from ml.performance) m
where kind in ({kinds}) and status <> 'unknown' {where} group by pipeline
"""


CHECKED = """
select pipeline, count(*) > 0 as is_met, format('%s checks of %s windows, against the contract in pipeline.yaml',
    count(*), count(distinct (window_start_at, window_end_at))) as evidence
from ops.quality_result group by pipeline
"""
TESTS = (
    Test("data", "Feature expectations are captured in a schema", CHECKED.replace("%s", "%%s"), "docs/quality"),
    Test(
        "data",
        "All features are beneficial",
        """
select pipeline, 2 * helping >= every as is_met,
    format('weighed at each training: %%s of %%s features help version %%s', helping, every, version) as evidence
from live, lateral (select count(*) filter (where value::float8 > 0) as helping, count(*) as every
    from jsonb_each_text(evidence->'importance')) i where every > 0
""",
        "docs/training",
    ),
    Test("data", "No feature's cost is too much", _drill("features", 20), "docs/features.md"),
    Test("data", "Features adhere to meta-level requirements", _rule("no leak"), "docs/training"),
    Test("data", "The data pipeline has appropriate privacy controls", "privacy", "docs/sources.md"),
    Test(
        "data",
        "New features can be added quickly",
        """
select pipeline, bool_and(filled_at is not null) as is_met, format('declared in pipeline.yaml, built %%s s later',
    round(extract(epoch from max(filled_at - created_at)), 1)) as evidence
from feature.set where is_current group by pipeline
""",
        "docs/features.md",
    ),
    Test("data", "All input feature code is tested", _drill("features"), "docs/features.md"),
    Test(
        "model",
        "Model specs are reviewed and submitted",
        """
select pipeline, true as is_met, format('version %%s keeps the spec it was decided by, in the ledger', version)
from live where evidence ? 'decided_by'
""",
        "docs/undo.md",
    ),
    Test(
        "model",
        "Offline and online metrics correlate",
        """
select pipeline, count(*) >= 3 and 2 * count(*) filter (where times between 0.5 and 2) > count(*) as is_met,
    format('in %%s of %%s windows the live error was half to twice the one of the held-out rows (median %%s times it)',
    count(*) filter (where times between 0.5 and 2), count(*),
    round(percentile_cont(0.5) within group (order by times)::numeric, 2))
from (select pipeline, value / reference as times from ml.performance where (kind, subject, slice) =
    ('error', 'prediction', '') and status <> 'unknown' and statistic in ('mae', 'rmse', 'brier') and reference > 0) e
group by pipeline
""",
        "docs/monitoring",
    ),
    Test(
        "model",
        "All hyperparameters have been tuned",
        """
select pipeline, evidence->'tuned' <> '{}' as is_met,
    format('version %%s: %%s of %%s candidates compared in cross-validation were tuned by a search%%s', version,
    (select count(*) from jsonb_object_keys(evidence->'tuned')),
    (select count(*) from jsonb_object_keys(evidence->'selection_errors')),
    (select ': ' || string_agg(key, ', ') from jsonb_object_keys(evidence->'tuned') key))
from live where evidence ? 'selection_errors'
""",
        "docs/training",
        "docs/promotion.md",
    ),
    Test(
        "model",
        "The impact of model staleness is known",
        """
select pipeline, true as is_met,
    format('in %%s windows the champion was compared with its recipe on newer data', count(*))
from ml.look where probe_losses <> '{}' group by pipeline
""",
        "docs/monitoring",
    ),
    Test(
        "model",
        "A simpler model is not better",
        """
select pipeline, true as is_met, coalesce((select r->>'text' from jsonb_array_elements(rules) r
    where r->>'rule' = 'beats naive'), 'the naive model is live: nothing beat it')
from live where evidence ? 'naive'
""",
        "docs/training",
    ),
    Test(
        "model",
        "Model quality is sufficient on important data slices",
        """
select pipeline, true as is_met, format('%%s figures of slices such as %%s', count(*), max(slice))
from ml.performance where slice <> '' and status <> 'unknown' group by pipeline
""",
        "docs/monitoring",
    ),
    Test(
        "model",
        "The model is tested for considerations of inclusion",
        """
select pipeline, rules @> '[{"rule": "behaviour", "status": "passed"}]' as is_met,
    format('version %%s does not hinge on %%s', version, t->>'feature')
from live, jsonb_array_elements(evidence->'decided_by'->'behaviour') t where t->>'kind' = 'invariance'
""",
        "docs/training",
    ),
    Test("infrastructure", "Training is reproducible", _drill("reproduce"), "docs/undo.md"),
    Test("infrastructure", "Model specs are unit tested", _rule("behaviour"), "docs/training"),
    Test(
        "infrastructure",
        "The ML pipeline is integration tested",
        """
select p.pipeline, loads > 0 and predictions > 0 and looks > 0 and trainings > 0 as is_met, format('through the'
    ' scheduler: %%s loads, %%s windows scored, %%s looked at, %%s trainings', loads, predictions, looks, trainings)
from pipelines p, lateral (select
    (select count(*) from ops.run r where r.pipeline = p.pipeline) as loads,
    (select count(distinct run_id) from ml.prediction r
        where (r.pipeline, kind) = (p.pipeline, 'batch')) as predictions,
    (select count(*) from ml.look r where r.pipeline = p.pipeline) as looks,
    (select count(*) from ml.decision r where r.pipeline = p.pipeline and dag_id = 'train_' || p.pipeline) as trainings
) c
""",
        "",
    ),
    Test(
        "infrastructure",
        "Model quality is validated before serving",
        """
select pipeline, bool_and(passed) as is_met,
    format('%%s promotions, each by a decision whose rules have passed', count(*))
from (select d.pipeline, not exists (select from jsonb_array_elements(evidence->'rules') r
        where r->>'status' <> 'passed') as passed
    from ml.decision d join pipelines using (pipeline) where verdict = 'promote' and evidence ? 'rules') p
group by pipeline
""",
        "docs/training",
    ),
    Test(
        "infrastructure",
        "The model is debuggable",
        """
select pipeline, true as is_met, format('version %%s has a report of errors, slices and contributions', version)
from live where evidence ? 'report'
""",
        "docs/training",
    ),
    Test("infrastructure", "Models are canaried before serving", _rule("answers"), "docs/serving.md"),
    Test("infrastructure", "Serving models can be rolled back", _drill("rollback"), "docs/undo.md"),
    Test("monitoring", "Dependency changes result in notification", "alerts", "docs/alerts.md"),
    Test(
        "monitoring",
        "Data invariants hold for inputs",
        """
select pipeline, bool_and(is_passed), format('%%s of %%s checks that stop passed in the newest windows%%s',
    count(*) filter (where is_passed), count(*),
    '; broken: ' || string_agg(source || ' ' || rule || ' ' || column_name, ', ') filter (where not is_passed))
from (select distinct on (pipeline, source, rule, column_name) q.* from ops.quality_result q
    where severity = 'stop' and window_end_at = (select max(window_end_at) from ops.quality_result n
        where (n.pipeline, n.source) = (q.pipeline, q.source))
    order by pipeline, source, rule, column_name, checked_at desc, quality_result_id desc) newest
group by pipeline
""",
        "docs/quality",
    ),
    Test("monitoring", "Training and serving are not skewed", _drill("features"), "docs/serving.md"),
    Test("monitoring", "Models are not too stale", _measured("'staleness'"), "docs/monitoring"),
    Test(
        "monitoring",
        "Models are numerically stable",
        """
select pipeline, count(*) filter (where predicted in ('NaN', 'Infinity', '-Infinity')) = 0 as is_met,
    format('all %%s predictions are finite numbers', count(*))
from ml.prediction join pipelines using (pipeline) group by pipeline
""",
        "docs/monitoring",
    ),
    Test("monitoring", "Computing performance has not regressed", _rule("answers"), "docs/training"),
    Test(
        "monitoring",
        "Prediction quality has not regressed",
        """
select distinct on (pipeline) pipeline, not (harm->>'is_proven')::boolean,
    format('window to %%s: %%s', to_char(window_end_at at time zone 'UTC', 'YYYY-MM-DD'), harm->>'text')
from (select d.*, evidence->'figures'->'harm' as harm from ml.decision d
    where dag_id = 'monitor_' || pipeline) judged
where harm->>'odds' is not null order by pipeline, window_end_at desc, decision_id desc
""",
        "docs/monitoring",
    ),
)
