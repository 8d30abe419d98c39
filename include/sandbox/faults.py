"""Makes the sandbox misbehave on request, so that a journey can meet a 429, a 500 or garbage.

`POST /faults` plants a fault: the next `times` requests whose path contains `path_contains` are answered with `status`
and `body`. `DELETE /faults` takes all of them back. Both exist only where the sandbox was started with `--faults`.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field


class Fault(BaseModel):
    """One planned misbehaviour."""

    path_contains: str = Field(min_length=1)
    status: int = Field(ge=200, le=599)
    body: str = ""
    times: int = Field(default=1, ge=1)


def install(app: FastAPI) -> None:
    """Add `/faults` to the application and let planted faults answer before everything else."""
    planted: list[Fault] = []

    @app.middleware("http")
    async def misbehave(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        fault = next((fault for fault in planted if fault.path_contains in path), None)
        if fault is None or path == "/faults":
            return await go_on(request)
        fault.times -= 1
        if not fault.times:
            planted.remove(fault)
        return Response(fault.body, fault.status, media_type="application/json")

    @app.post("/faults", status_code=201)
    async def plant(fault: Fault) -> dict[str, int]:
        planted.append(fault)
        return {"planted": len(planted)}

    @app.delete("/faults", status_code=204)
    async def take_back() -> None:
        planted.clear()
