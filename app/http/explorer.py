"""GraphiQL, served from its WebJar: no content delivery network, works without internet.

The token comes in the address's fragment, which no browser sends to a server, or is asked for; the page forgets it when it is
closed or loaded again. Scripts are files of their own, since the pages' policy lets no others run."""

import json
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

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
<style>body{margin:0;font:15px system-ui}#explorer{height:100vh}form{margin:20vh auto;width:24em}input{width:100%}</style>
</head>
<body><div id="explorer"><form hidden><label>Token or API key <input type="password" autocomplete="off" autofocus></label>
<p><button>Open</button></p></form></div>
<script src="explorer/assets/react.js"></script>
<script src="explorer/assets/react-dom.js"></script>
<script src="explorer/assets/graphiql.min.js"></script>
<script src="explorer/assets/explorer.js"></script></body></html>
"""
SCRIPT = """\
"use strict";
// The token is kept by this page alone: not in the address, not in any storage.
let headers = {};
// graphql-transport-ws, as far as an explorer needs it
function subscribe(request, sink) {
  const ws = new WebSocket(location.origin.replace("http", "ws") + "/graphql", "graphql-transport-ws");
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
function open(token) {
  headers = { Authorization: "Bearer " + token };
  const fetcher = (request) => /^\\s*subscription/m.test(request.query)
    ? { subscribe: (sink) => subscribe(request, sink) } : post(request);
  ReactDOM.createRoot(document.getElementById("explorer")).render(
    React.createElement(GraphiQL, { fetcher, defaultQuery: QUERY, defaultEditorToolsVisibility: true }));
}
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", location.pathname);
  open(given);
} else {
  const form = document.querySelector("form");
  form.hidden = false;
  form.onsubmit = (event) => { event.preventDefault(); open(form.querySelector("input").value.trim()); };
}
"""


def script() -> str:
    return SCRIPT.replace("QUERY", json.dumps(FIRST_QUERY))


def asset(jars: Mapping[str, Path], name: str) -> tuple[bytes, str]:
    """(content, media type); `jars`: artifact → WebJar. Raises: KeyError for a name that is not in ASSETS."""
    artifact, path, media = ASSETS[name]
    return _content(jars[artifact], artifact, path), media


@cache
def _content(jar: Path, artifact: str, path: str) -> bytes:
    version = jar.stem.removeprefix(f"{artifact}-")
    with zipfile.ZipFile(jar) as archive:
        return archive.read(f"META-INF/resources/webjars/{artifact}/{version}/{path}")
