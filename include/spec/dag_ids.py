"""The DAGs of a pipeline, by their ids: ``<verb>_<pipeline>``. Pure."""

VERBS = ("ingest", "monitor", "train", "score", "rollback", "quarantine", "label")


def pipeline_of(dag_id: str) -> str:
    """Return the pipeline whose DAG it is; empty for any other.

    Examples
    --------
    >>> pipeline_of("score_usdmxn"), pipeline_of("keep_house")
    ('usdmxn', '')
    """
    verb, _, pipeline = dag_id.partition("_")
    return pipeline if verb in VERBS else ""
