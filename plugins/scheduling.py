"""What the scheduler needs beside Airflow's own: a clock that stops, and pools for connections that have none."""

from airflow.plugins_manager import AirflowPlugin

from include.steps import pools
from include.steps.ending_timetable import EndingTimetable


class Scheduling(AirflowPlugin):
    """What Airflow registers."""

    name = "ciclo_scheduling"
    timetables = [EndingTimetable]  # noqa: RUF012 - so does AirflowPlugin declare it
    listeners = [pools]  # noqa: RUF012
