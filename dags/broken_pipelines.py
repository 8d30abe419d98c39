"""
Makes no DAG. A pipeline.yaml that cannot be loaded, or names a connection that is not declared or a queue whose
packages are not installed, shows here as an import error in Airflow's web UI, with file, line, field and fix,
and so does what is wrong in airflow_settings.yaml, while every other pipeline's DAGs go on.
"""

from include.errors import ConfigError
from include.local.validation import faults_of_all

if faults := faults_of_all(environ=None):
    raise ConfigError("\n".join(line for lines in faults.values() for line in lines))
