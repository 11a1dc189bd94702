"""GraphiQL, served from its WebJar: no content delivery network, works without internet.

The token comes in the address's fragment, which no browser sends to a server, and stays in the tab's session storage."""

import json
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from app.stack.jars import listed

ASSETS: Mapping[str, tuple[str, str, str]] = {
    "graphiql.min.js": ("graphiql", "graphiql.min.js", "text/javascript"),
    "graphiql.min.css": ("graphiql", "graphiql.min.css", "text/css"),
    "react.js": ("react", "umd/react.production.min.js", "text/javascript"),
    "react-dom.js": ("react-dom", "umd/react-dom.production.min.js", "text/javascript"),
    "swagger-ui.js": ("swagger-ui", "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui", "swagger-ui.css", "text/css"),
}
FIRST_QUERY = """\
# The weakest turbines of the fleet, with their farm and their weakest parts.
{
  turbines(first: 5, orderBy: [{ healthScore: ASC }]) {
    dtId
    name
    healthScore
    expectedFailureTime
    containsOf { name region }
    hasComponent(first: 2, orderBy: [{ healthScore: ASC }]) { name healthScore confidence }
    history(signal: "power", every: "PT1H") { at avg }
  }
}
"""
PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Twingraph explorer</title>
<link rel="stylesheet" href="explorer/assets/graphiql.min.css">
<style>body{margin:0}#explorer{height:100vh}</style></head>
<body><div id="explorer">Loading…</div>
<script src="explorer/assets/react.js"></script>
<script src="explorer/assets/react-dom.js"></script>
<script src="explorer/assets/graphiql.min.js"></script>
<script>
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { sessionStorage.setItem("twingraph-token", given); history.replaceState(null, "", location.pathname); }
const token = sessionStorage.getItem("twingraph-token") || "";
const headers = { Authorization: "Bearer " + token };
const socket = location.origin.replace("http", "ws") + "/graphql";
// graphql-transport-ws, as far as an explorer needs it
function subscribe(request, sink) {
  const ws = new WebSocket(socket, "graphql-transport-ws");
  ws.onopen = () => ws.send(JSON.stringify({ type: "connection_init", payload: headers }));
  ws.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "connection_ack") ws.send(JSON.stringify({ id: "1", type: "subscribe", payload: request }));
    if (message.type === "ping") ws.send(JSON.stringify({ type: "pong" }));
    if (message.type === "next") sink.next(message.payload);
    if (message.type === "error") { sink.error({ errors: message.payload }); ws.close(); }
    if (message.type === "complete") { sink.complete(); ws.close(); }
  };
  return { unsubscribe: () => ws.close() };
}
async function post(request) {
  const answer = await fetch("graphql", { method: "POST", body: JSON.stringify(request),
    headers: { "Content-Type": "application/json", Accept: "application/json", ...headers } });
  return answer.json();
}
const fetcher = (request) => /^\\s*subscription/m.test(request.query)
  ? { subscribe: (sink) => subscribe(request, sink) } : post(request);
ReactDOM.createRoot(document.getElementById("explorer")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: QUERY, defaultEditorToolsVisibility: true }));
</script></body></html>
"""


@cache
def page() -> str:
    return PAGE.replace("QUERY", json.dumps(FIRST_QUERY))


@cache
def asset(folder: Path, name: str) -> tuple[bytes, str]:
    """(content, media type). Raises: KeyError for a name that is not in ASSETS."""
    artifact, path, media = ASSETS[name]
    jar = next(jar for jar in listed("explorer") if jar.artifact == artifact)
    with zipfile.ZipFile(folder / jar.file) as archive:
        return archive.read(f"META-INF/resources/webjars/{artifact}/{jar.version}/{path}"), media
