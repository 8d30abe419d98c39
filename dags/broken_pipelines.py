"""
Makes no DAG. A pipeline.yaml that cannot be loaded, or names a connection that is not declared or a queue whose
packages are not installed, shows here as an import error in Airflow's web UI, with file, line, field and fix,
while every other pipeline's DAGs go on.
"""

from include.errors import ConfigError
from include.events.source_asset import unheard
from include.spec.load import load_all, undeclared

pipelines = load_all().values()
if faults := [*undeclared(pipelines), *unheard(pipelines)]:
    raise ConfigError("\n".join(faults))
