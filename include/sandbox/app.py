"""The sandbox's HTTP application: every public source's stand-in on one port."""

from fastapi import FastAPI

from include.sandbox import banxico, faults, frankfurter, inegi, open_meteo, standing, uci
from include.sandbox.config import SandboxConfig


def create_app(config: SandboxConfig) -> FastAPI:
    """Build the application with all its data loaded; it answers `/health` as soon as it answers anything.

    Raises
    ------
    ConfigError
        A file that was named cannot be used. A retry brings the same.
    """
    air_quality = uci.load(config)
    app = FastAPI(title="Ciclo sandbox", openapi_url=None)
    app.include_router(banxico.router(config))
    app.exception_handler(banxico.SieError)(banxico.refuse)
    app.include_router(inegi.router(config))
    app.include_router(uci.router(air_quality))
    app.include_router(frankfurter.router())
    app.include_router(open_meteo.router())
    standing.install(app, config.injections)
    if config.has_faults:
        faults.install(app)

    @app.get("/health")
    async def health() -> dict[str, str | bool]:
        return {"status": "ok", "is_air_quality_simulated": air_quality.is_simulated}

    return app
