"""Pages for developers: Swagger UI and the GraphQL explorer, both from WebJars."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, RedirectResponse

from app.graphql.explorer import ASSETS, asset, page


def pages(folder: Path) -> APIRouter:
    """`folder` holds the jars of the list `explorer`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs() -> Any:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Twingraph API",
            swagger_js_url="explorer/assets/swagger-ui.js",
            swagger_css_url="explorer/assets/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

    @router.get("/")
    def home() -> RedirectResponse:
        return RedirectResponse("explorer")

    @router.get("/explorer")
    def explorer() -> HTMLResponse:
        return HTMLResponse(page())

    @router.get("/explorer/assets/{name}")
    def assets(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, "no such asset")
        content, media = asset(folder, name)
        return Response(content, media_type=media, headers={"Cache-Control": "max-age=86400"})

    return router
