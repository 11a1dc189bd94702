"""Pages for developers: Swagger UI and the GraphQL explorer, both from WebJars."""

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from starlette.responses import HTMLResponse, RedirectResponse

from app.http.explorer import ASSETS, PAGE, asset, script

DOCS = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Twingraph API</title>
<link rel="stylesheet" href="explorer/assets/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="explorer/assets/swagger-ui.js"></script>
<script src="explorer/assets/docs.js"></script></body></html>
"""
DOCS_SCRIPT = """\
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, showExtensions: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset] });
"""
OWN: Mapping[str, Callable[[], str]] = {"explorer.js": script, "docs.js": lambda: DOCS_SCRIPT}


def pages(jars: Mapping[str, Path]) -> APIRouter:
    """`jars`: artifact → WebJar."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(DOCS)

    @router.get("/")
    def home() -> RedirectResponse:
        return RedirectResponse("explorer")

    @router.get("/explorer")
    def explorer() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @router.get("/explorer/assets/{name}")
    def assets(name: str) -> Response:
        if name in OWN:
            return Response(OWN[name](), media_type="text/javascript")
        if name not in ASSETS:
            raise HTTPException(404, "no such asset")
        content, media = asset(jars, name)
        return Response(content, media_type=media, headers={"Cache-Control": "max-age=86400"})

    return router
