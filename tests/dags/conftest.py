"""The DAGs as Airflow's own DAG processor reads them."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def read_dags():
    """Read a folder of DAG files without touching any database."""
    from airflow.dag_processing.dagbag import DagBag

    return lambda folder, **options: DagBag(str(folder), bundle_path=Path(folder), bundle_name="tests", **options)


@pytest.fixture(scope="session")
def dagbag(read_dags):
    return read_dags(ROOT / "dags")
