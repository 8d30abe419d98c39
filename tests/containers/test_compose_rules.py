"""docker-compose.yaml keeps the rules, and each rule notices a file that breaks it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.containers import checks, folders
from tests.containers.compose import load, variables

Document = dict[str, Any]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_no_rule_is_broken(check: Callable[[Document], list[str]]) -> None:
    assert check(load()) == []


def _unknown_key(document: Document) -> None:
    document["services"]["mlflow"]["comand"] = ["mlflow"]


def _dependency_that_is_gone(document: Document) -> None:
    document["services"]["mlflow"]["depends_on"] = {"database": {"condition": "service_healthy"}}


def _undeclared_volume(document: Document) -> None:
    document["services"]["scheduler"]["volumes"] = ["lakes:/var/lib/ciclo/lake"]


def _context_without_dockerfile(document: Document) -> None:
    document["services"]["mlflow"]["build"] = {"context": "docs"}


def _waits_for_health_nobody_checks(document: Document) -> None:
    del document["services"]["mlflow"]["healthcheck"]


def _waits_for_a_job_that_restarts(document: Document) -> None:
    document["services"]["init"]["restart"] = "always"


def _waits_for_a_mere_start(document: Document) -> None:
    document["services"]["init"]["depends_on"] = {"postgres": {"condition": "service_started"}}


def _two_images_that_copy(document: Document) -> None:
    document["services"]["predictions"]["volumes"] = ["balancer:/usr/local/etc/haproxy:ro"]


def _root(document: Document) -> None:
    document["services"]["scheduler"]["user"] = "0:0"


def _no_user(document: Document) -> None:
    del document["services"]["postgres"]["user"]


def _capability(document: Document) -> None:
    document["services"]["scheduler"]["cap_add"] = ["SYS_ADMIN"]


def _new_privileges(document: Document) -> None:
    document["services"]["scheduler"]["security_opt"] = []


def _writable_image(document: Document) -> None:
    document["services"]["scheduler"]["read_only"] = False


def _port_on_every_address(document: Document) -> None:
    document["services"]["postgres"]["ports"] = ["55432:5432"]


def _latest(document: Document) -> None:
    document["services"]["postgres"]["image"] = "postgres:latest"


def _no_tag(document: Document) -> None:
    document["services"]["postgres"]["image"] = "postgres"


def _password(document: Document) -> None:
    document["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"] = "postgres"


def _password_in_a_url(document: Document) -> None:
    document["services"]["mlflow"]["environment"]["STORE"] = "postgresql://mlflow:mlflow@postgres/mlflow"


def _secret_with_a_default(document: Document) -> None:
    document["services"]["mlflow"]["environment"]["X"] = "${CICLO_SECRET_POSTGRES_MLFLOW:-mlflow}"


def _secret_that_nobody_asks_for(document: Document) -> None:
    document["services"]["mlflow"]["environment"]["X"] = "${CICLO_SECRET_POSTGRES_REPORTS:-}"


def _secret_that_is_asked_for_twice(document: Document) -> None:
    document["services"]["mlflow"]["environment"]["X"] = "${CICLO_SECRET_POSTGRES_MLFLOW:?set it}"


def _memory_limit(document: Document) -> None:
    document["services"]["mlflow"]["mem_limit"] = "1g"


def _no_volume_for_the_reports(document: Document) -> None:
    document["services"]["scheduler"]["volumes"] = ["lake:/var/lib/ciclo/lake", "files:/var/lib/ciclo/files"]


def _no_volume_for_the_lake(document: Document) -> None:
    document["services"]["triggerer"]["volumes"] = ["docs:/var/lib/ciclo/docs"]


def _no_reports_for_the_web_ui(document: Document) -> None:
    document["services"]["api-server"]["volumes"] = ["airflow-logs:/var/lib/ciclo/log"]


def _no_volume_for_the_station(document: Document) -> None:
    del document["services"]["sandbox"]["volumes"]


def _folder_in_the_place_of_a_file(document: Document) -> None:
    del document["services"]["sandbox"]["volumes"][1]["bind"]


def _folder_that_is_made(document: Document) -> None:
    document["services"]["sandbox"]["volumes"][1]["bind"] = {"create_host_path": True}


def _second_build(document: Document) -> None:
    document["services"]["mlflow"]["build"] = {"context": "."}


def _image_from_elsewhere(document: Document) -> None:
    del document["services"]["mlflow"]["pull_policy"]


def _no_limit_of_logs(document: Document) -> None:
    del document["services"]["postgres"]["logging"]


def _limit_of_one_log_alone(document: Document) -> None:
    document["services"]["mlflow"]["logging"] = {"driver": "json-file", "options": {"max-size": "10m"}}


def _code_as_health_check(document: Document) -> None:
    document["services"]["mlflow"]["healthcheck"]["test"] = ["CMD", "python", "-c", "import sys; sys.exit('x')"]


def _shell_as_health_check(document: Document) -> None:
    document["services"]["mlflow"]["healthcheck"]["test"] = ["CMD-SHELL", "true"]


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (checks.breaks_the_schema, _unknown_key),
        (checks.names_what_is_not_there, _dependency_that_is_gone),
        (checks.names_what_is_not_there, _undeclared_volume),
        (checks.names_what_is_not_there, _context_without_dockerfile),
        (checks.waits_for_nothing, _waits_for_health_nobody_checks),
        (checks.has_no_health_check, _waits_for_health_nobody_checks),
        (checks.waits_for_nothing, _waits_for_a_job_that_restarts),
        (checks.waits_for_nothing, _waits_for_a_mere_start),
        (checks.has_too_many_rights, _root),
        (checks.has_too_many_rights, _no_user),
        (checks.has_too_many_rights, _capability),
        (checks.has_too_many_rights, _new_privileges),
        (checks.has_too_many_rights, _writable_image),
        (checks.opens_a_port_to_the_world, _port_on_every_address),
        (checks.floats, _latest),
        (checks.floats, _no_tag),
        (checks.tells_a_secret, _password),
        (checks.tells_a_secret, _password_in_a_url),
        (checks.tells_a_secret, _secret_with_a_default),
        (checks.tells_a_secret, _secret_that_nobody_asks_for),
        (checks.tells_a_secret, _secret_that_is_asked_for_twice),
        (checks.is_limited, _memory_limit),
        (checks.has_no_place_to_write, _no_volume_for_the_reports),
        (checks.has_no_place_to_write, _no_volume_for_the_lake),
        (checks.has_no_place_to_write, _no_reports_for_the_web_ui),
        (checks.has_no_place_to_write, _no_volume_for_the_station),
        (checks.makes_what_is_mistyped, _folder_in_the_place_of_a_file),
        (checks.makes_what_is_mistyped, _folder_that_is_made),
        (checks.builds_an_image_twice, _second_build),
        (checks.builds_an_image_twice, _image_from_elsewhere),
        (checks.logs_without_end, _no_limit_of_logs),
        (checks.logs_without_end, _limit_of_one_log_alone),
        (checks.leaves_an_owner_to_chance, _two_images_that_copy),
        (checks.checks_health_by_code, _code_as_health_check),
        (checks.checks_health_by_code, _shell_as_health_check),
    ],
    ids=lambda part: part.__name__.strip("_"),
)
def test_a_planted_fault_is_noticed(check: Callable[[Document], list[str]], fault: Callable[[Document], None]) -> None:
    document = copy.deepcopy(load())
    fault(document)
    assert check(document) != []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('settings().var / "new" / "part"', {"new"}),
        ('folder = self.options.var / "new/part"', {"new"}),
        ('url = f"file://{settings().var}/new/{part}"', {"new"}),
        ("settings().var / name", {"<name>"}),
        ("store = Lake(settings().lake)", {"lake"}),
        ('variance.mean / "new"', set()),
    ],
)
def test_a_folder_is_known_however_the_code_names_it(source: str, names: set[str]) -> None:
    assert folders.named_in(source) == names


def test_every_variable_is_documented() -> None:
    assert set(variables(load())) - checks.documented_variables() == set()
    passed_on = {name for s in load()["services"].values() for name, value in s["environment"].items() if value is None}
    assert passed_on - checks.documented_variables() == set()


def test_an_undocumented_variable_is_noticed() -> None:
    document = load()
    document["services"]["mlflow"]["environment"]["MLFLOW_TRACE_SAMPLING"] = "${CICLO_TRACES:-0}"
    assert set(variables(document)) - checks.documented_variables() == {"CICLO_TRACES"}
