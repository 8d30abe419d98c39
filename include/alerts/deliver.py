"""Deliver what waits in ``ops.alert``: by webhook and e-mail, through Airflow's providers and Connections."""

from __future__ import annotations

import logging
from html import escape
from typing import TYPE_CHECKING, Any

from include.alerts.audience import audience, audiences
from include.alerts.runbooks import runbook_url
from include.errors import CicloError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline
    from include.spec.parts import Alerts, Email, Webhook

TRIES = 8  # the pause doubles from five minutes: the last try comes some ten hours after the first
SECONDS = 30
WAITING = """
select min(alert_id) as alert_id, array_agg(alert_id) as same, a.pipeline, destination, kind, severity, message,
    min(raised_at) as raised_at, max(attempts) + 1 >= %(tries)s as is_last,
    case when kind <> 'health' or message not like '%% is healthy again, %%' then min(closed_at) end as over_at,
    max(word) as word
from ops.alert a left join ops.incident using (incident_id) where status = 'pending'
group by a.pipeline, destination, kind, severity, message
having max(attempts) = 0 or max(tried_at) <= now() - interval '5 minutes' * (power(2, max(attempts) - 1) - 0.5)
order by 1
"""
TRIED = """
update ops.alert set attempts = attempts + 1, tried_at = now(), last_error = nullif(%(error)s, ''),
    status = case when %(error)s = '' then 'delivered' when %(is_last)s then 'failed' else 'pending' end,
    delivered_at = case when %(error)s = '' then now() end
where alert_id = any(%(same)s)
"""
log = logging.getLogger(__name__)


class Undelivered(CicloError):
    """Some alerts did not reach those they are for; they are tried again later."""


def deliver(engine: Engine, pipelines: Mapping[str, Pipeline]) -> int:
    """Send every alert whose turn it is and return how many went out; alerts that say the same go as one.

    Each is marked as soon as it was sent; a death between the two sends it once more, with the same number.

    Parameters
    ----------
    pipelines : mapping
        Those that can be loaded; those that no more can be are heard of where they were, see `include.alerts.audience`.

    Raises
    ------
    Undelivered
        If one could not be sent; the others were. It is tried again, TRIES times in all, with growing pauses.
    """
    with engine.begin() as connection:
        every = audiences(connection, pipelines)
        waiting = [dict(row) for row in connection.exec_driver_sql(WAITING, {"tries": TRIES}).mappings()]
    errors = []
    for alert in waiting:
        error = _sent(alert, audience(alert["pipeline"], every).alerts)
        with engine.begin() as connection:
            connection.exec_driver_sql(TRIED, {"error": error, "is_last": alert["is_last"], "same": alert["same"]})
        if error:
            given_up = ", and is given up" if alert["is_last"] else ""
            errors.append(f"alert {alert['alert_id']} to {alert['destination']}: {error}{given_up}")
        else:
            log.info("alert %d delivered to %s", alert["alert_id"], alert["destination"])
    if errors:
        raise Undelivered(f"{len(errors)} of {len(waiting)} alerts were not delivered: {'; '.join(errors)}")
    return len(waiting)


def _sent(alert: Mapping[str, Any], alerts: Alerts) -> str:
    """Send an alert; return why it could not be sent, without any secret, or nothing."""
    import requests
    from airflow.sdk.exceptions import AirflowException

    destination = next((one for one in alerts.to if one.name == alert["destination"]), None)
    if destination is None:
        return "pipeline.yaml names it no more under alerts.to"
    send: Any = {"webhook": _post, "email": _mail}[destination.kind]
    try:
        send(destination, alert)
    except requests.RequestException as error:  # its text has the URL, which is a secret of many chats
        return f"{destination.connection} did not answer ({type(error).__name__})"
    except (AirflowException, OSError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def _post(destination: Webhook, alert: Mapping[str, Any]) -> None:
    """Post an alert as JSON; `text` is what chats show, the header lets a receiver drop what comes twice."""
    from airflow.providers.http.hooks.http import HttpHook

    facts = {name: alert[name] for name in ("alert_id", "pipeline", "kind", "severity", "message")}
    link = runbook_url(alert["kind"], alert["word"])
    text = f"{subject(alert)}: {alert['message']}{_over(alert)}\n{link}"
    body = {"text": text, **facts, "raised_at": alert["raised_at"].isoformat(), "runbook": link}
    headers = {"Idempotency-Key": f"ciclo-alert-{alert['alert_id']}"}
    HttpHook("POST", destination.connection).run(json=body, headers=headers, extra_options={"timeout": SECONDS})


def _mail(destination: Email, alert: Mapping[str, Any]) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    link = runbook_url(alert["kind"], alert["word"])
    with SmtpHook(destination.connection) as server:
        server.send_email_smtp(
            to=list(destination.addresses),
            subject=subject(alert),
            html_content=f"<p>{escape(alert['message'])}</p>"
            f"<p>Raised {alert['raised_at']:%Y-%m-%d %H:%M} UTC{_over(alert)}</p>"
            f'<p><a href="{escape(link)}">What to do</a></p>',
            custom_headers={"Message-ID": f"<ciclo-alert-{alert['alert_id']}@{destination.connection}>"},
        )


def _over(alert: Mapping[str, Any]) -> str:
    """Say of what arrives late that it is over."""
    return f" (over since {alert['over_at']:%Y-%m-%d %H:%M} UTC)" if alert["over_at"] else ""


def subject(alert: Mapping[str, Any]) -> str:
    """Return an alert in a few words.

    Examples
    --------
    >>> subject({"severity": "critical", "pipeline": "usdmxn", "kind": "failure"})
    'CRITICAL usdmxn failure'
    """
    is_over = alert["kind"] == "health" and " is healthy again, " in alert.get("message", "")
    return f"{'RECOVERED' if is_over else alert['severity'].upper()} {alert['pipeline']} {alert['kind']}"
