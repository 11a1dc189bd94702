"""HTTP push against a real client: 202 means committed, everything else means send it again or mend it."""

import asyncio
import gzip
import ssl
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cramjam
import httpx
import orjson
import psutil
import pytest
from prometheus_remote_writer import RemoteWriter

from app.errors import StackError, StoreUnavailable
from app.graph.store import Store
from app.identity import Gate, gate, keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins.directory import Directory
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from ingest.http import HttpSource
from ingest.mapping.declaration import Rule, SourceMapping, Target, Under
from ingest.mapping.match import Matcher
from ingest.payload.unpack import LONGEST
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from ingest.source import Message
from tests.conftest import free_port, twingraph
from tests.ingest.base import SourceContract, nowhere, recent
from tests.ingest.test_tls import Authority

LINES = {"Content-Type": "application/x-ndjson"}


def gated(mapping: SourceMapping, settings: Settings, registry: Registry) -> HttpSource:
    source = HttpSource(mapping, settings)
    source.gate = Gate(registry.store, settings)
    return source


class TestHttp(SourceContract):
    @pytest.fixture
    def mapping(self) -> SourceMapping:
        rules = (Rule(match="plant/{unit}", twin="{unit}"),)
        options = {"port": free_port(), "wait": 3}
        return SourceMapping(source=f"push-{uuid.uuid4().hex}", protocol="http", options=options, rules=rules, bound=("c-*",))

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings, registry: Registry) -> HttpSource:
        return gated(mapping, secured, registry)

    @pytest.fixture(autouse=True)
    async def client(self, mapping: SourceMapping, secured: Settings) -> AsyncIterator[None]:
        url, headers = f"http://127.0.0.1:{mapping.options['port']}", {"Authorization": f"Bearer {secured.token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as self.http:
            yield

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        answer = await self.http.post(f"/plant/{dt_id}", json={"ts": at, **values})
        assert (answer.status_code, answer.json()) == (202, {"messages": 1})

    async def test_202_means_committed(self, running: Any, registry: Registry) -> None:
        start = recent()
        for i in range(5):
            await self.send("c-01", start + i, {"power": float(i)})
            assert len(await self.stored(registry.store, 0)) == i + 1  # there at once, nothing is waited for

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize("kind", ["array", "lines"])
    async def test_many_in_one_request(self, kind: str, packed: bool, running: Any, registry: Registry) -> None:
        start = recent()
        rows = [{"ts": start + i, "power": float(i)} for i in range(500)]
        body = orjson.dumps(rows) if kind == "array" else b"\n".join(orjson.dumps(row) for row in rows)
        headers = LINES if kind == "lines" else {"Content-Type": "application/json"}
        if packed:
            body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
        answer = await self.http.post("/plant/c-02", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (202, {"messages": 500})
        assert len(await self.stored(registry.store, 0)) == 500

    async def test_503_while_the_database_is_away(
        self, running: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F2: nothing is acknowledged meanwhile; sent again, it is there once."""

        def away(self: Store, work: Any) -> Any:
            raise StoreUnavailable("away for a test")

        start = recent()
        with monkeypatch.context() as patched:
            patched.setattr(Store, "write", away)
            answer = await self.http.post("/plant/c-03", json={"ts": start, "power": 3.0})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert await self.stored(registry.store, 0) == []
        for _ in range(10):
            if (await self.http.post("/plant/c-03", json={"ts": start, "power": 3.0})).status_code == 202:
                break
        await asyncio.sleep(1)
        assert await self.stored(registry.store, 1) == [["c-03", start, 3.0]]

    @pytest.mark.parametrize(
        ("body", "headers", "status", "code"),
        [
            (b"{broken", {}, 400, "NOT_JSON"),
            (b"", {}, 400, "NOT_JSON"),
            (b"{}", {"Content-Type": "text/html"}, 415, "MEDIA_TYPE"),
            (b"{}", {"Content-Encoding": "br"}, 415, "MEDIA_TYPE"),
            (b"no gzip", {"Content-Encoding": "gzip"}, 400, "NOT_GZIP"),
            (gzip.compress(b"[1, 2]")[:-9], {"Content-Encoding": "gzip"}, 400, "NOT_GZIP"),
            (gzip.compress(b" " * (LONGEST + 1)), {"Content-Encoding": "gzip"}, 413, "TOO_LARGE"),
            (b"[" + b" " * LONGEST + b"]", {}, 413, "TOO_LARGE"),
            (b"{}", {"Authorization": "Bearer wrong"}, 401, "UNAUTHENTICATED"),
            (b"{}", {"Authorization": ""}, 401, "UNAUTHENTICATED"),
        ],
    )
    async def test_what_cannot_be_taken_is_told(
        self, body: bytes, headers: dict[str, str], status: int, code: str, running: Any, registry: Registry
    ) -> None:
        answer = await self.http.post("/plant/c-01", content=body, headers={"Content-Type": "application/json"} | headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert registry.store.read("MATCH (d:_DeadLetter) RETURN count(d)") == [[0]]

    async def test_what_the_mapping_refuses_is_set_aside(self, running: Any, registry: Registry) -> None:
        start = recent()
        lines = [{"ts": start, "power": "much"}, [1, 2], {"ts": start, "power": 5.0}]
        answer = await self.http.post("/plant/c-01", json=lines)
        assert (answer.status_code, answer.json()) == (202, {"messages": 3})
        answer = await self.http.post("/plant/x-01", json={"power": 1.0})
        assert answer.status_code == 202
        codes = registry.store.read("MATCH (d:_DeadLetter) RETURN d.code ORDER BY d.code")
        assert codes == [["NOT_AN_OBJECT"], ["NOT_BOUND"], ["SCHEMA_VIOLATION"]]
        assert await self.stored(registry.store, 1) == [["c-01", start, 5.0]]

    async def test_every_member_of_a_gzip_stream_counts(self, running: Any, registry: Registry) -> None:
        start = recent()
        body = b"".join(gzip.compress(orjson.dumps({"ts": start + i, "power": float(i)}) + b"\n") for i in range(3))
        answer = await self.http.post("/plant/c-01", content=body, headers=LINES | {"Content-Encoding": "gzip"})
        assert answer.json() == {"messages": 3}
        assert len(await self.stored(registry.store, 0)) == 3

    async def test_a_number_too_large_for_the_graph_stops_nothing(
        self, running: Any, registry: Registry, mapping: SourceMapping, secured: Settings
    ) -> None:
        """F10: also where the type alone does not refuse it."""
        start, port = recent(), free_port()
        rules = (Rule(match="plant/{unit}", twin="{unit}", kind="event"),)
        events = SourceMapping(source="events", protocol="http", options={"port": port}, rules=rules)
        assembler = Assembler("events", registry.catalog, Matcher(events, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(gated(events, secured, registry), assembler, registry.store, 0.02, 1000).run())
        await asyncio.sleep(0.5)
        event = {"ts": start, "kind": "error", "code": "c"}
        url = f"http://127.0.0.1:{port}/plant/c-01"
        for sent in (event | {"n": 2**64 - 1}, event | {"": 1}, event):
            assert (await self.http.post(url, json=sent)).status_code == 202
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert registry.store.read("MATCH (d:_DeadLetter) RETURN d.code") == [["VALUE_REFUSED"]]
        with pytest.raises(httpx.ConnectError):
            await self.http.post(url, json=event)

    async def test_clients_of_influxdb_write(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        rules = (Rule(match="turbine,line={line},unit={unit}", twin="{line}-{unit}"),)
        mapped = mapping.model_copy(update={"rules": rules})
        assembler = Assembler(mapped.source, registry.catalog, Matcher(mapped, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(gated(mapped, secured, registry), assembler, registry.store, 0.02, 1000).run())
        await asyncio.sleep(0.5)
        start = recent()
        body = f"""# two readings
turbine,line=c,unit=01 power=1.5,operatingState="running" {start}000000
turbine,line=c,unit=02 power=2i {start + 1}000000
"""
        answer = await self.http.post("/api/v2/write?precision=ns", content=body)
        assert (answer.status_code, answer.json()) == (202, {"messages": 2})
        assert await self.stored(registry.store, 2) == [["c-01", start, 1.5], ["c-02", start + 1, 2.0]]
        answer = await self.http.post("/write?precision=s", content="turbine,line=c,unit=01 power=3 1\nbroken")
        assert (answer.status_code, answer.json()["code"]) == (400, "NOT_LINE_PROTOCOL")
        assert "line 2" in answer.json()["what"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_prometheus_writes(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        """By a client that is not ours; what has gone is stale."""
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        match = "power_kw,instance={line}:{unit},job=farm"
        rules = (Rule(match=match, twin="{line}-{unit}", signals={"value": Target(to="power")}),)
        mapped = mapping.model_copy(update={"rules": rules})
        assembler = Assembler(mapped.source, registry.catalog, Matcher(mapped, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(gated(mapped, secured, registry), assembler, registry.store, 0.02, 1000).run())
        await asyncio.sleep(0.5)
        start, url = recent(), f"{self.http.base_url}/api/v1/write"
        writer = RemoteWriter(url, auth={"bearer_token": secured.token}, retries=0)
        metric = {"__name__": "power_kw", "job": "farm", "instance": "c:01"}
        rows = [{"metric": metric, "values": [1.5, 2.5], "timestamps": [start, start + 1000]}]
        await asyncio.to_thread(writer.send, rows)
        assert await self.stored(registry.store, 2) == [["c-01", start, 1.5], ["c-01", start + 1000, 2.5]]
        (gone,) = struct.unpack(">d", struct.pack(">Q", 0x7FF0000000000002))
        await asyncio.to_thread(writer.send, [{"metric": metric, "values": [gone], "timestamps": [start + 2000]}])
        assert registry.store.read("MATCH (t:Twin {dtId: 'c-01'}) RETURN t._stale") == [[start + 2000]]
        kind = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        wrong = await self.http.post("/api/v1/write", content=b"\x05hello", headers=kind)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "NOT_REMOTE_WRITE")
        second = kind | {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
        assert (await self.http.post("/api/v1/write", content=b"", headers=second)).status_code == 415
        label = b"\x0a\x0b\x0a\x09\x0a\x03a\xff\xfe\x12\x02hi"
        unread = await self.http.post("/api/v1/write", content=bytes(cramjam.snappy.compress_raw(label)), headers=kind)
        assert (unread.status_code, unread.json()["code"]) == (400, "NOT_REMOTE_WRITE")
        many = b"\x12\x00" * 100_001
        series = b"\x0a" + bytes([len(many) & 0x7F | 0x80, len(many) >> 7 & 0x7F | 0x80, len(many) >> 14]) + many
        flood = await self.http.post("/api/v1/write", content=bytes(cramjam.snappy.compress_raw(series)), headers=kind)
        assert (flood.status_code, flood.json()["code"]) == (413, "TOO_LARGE")
        bomb = await self.http.post("/api/v1/write", content=b"\xff\xff\xff\xff\x0f\x00", headers=kind)
        assert (bomb.status_code, bomb.json()["code"]) == (413, "TOO_LARGE")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_events_come_whole_or_with_headers(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        """CloudEvents in structured and in binary mode; the event's time is that of data without one."""
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        mapped = mapping.model_copy(update={"rules": (Rule(match="plant/{unit}", twin="{unit}", payload="cloudevents"),)})
        assembler = Assembler(mapped.source, registry.catalog, Matcher(mapped, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(gated(mapped, secured, registry), assembler, registry.store, 0.02, 1000).run())
        await asyncio.sleep(0.5)
        start = recent()
        said = [datetime.fromtimestamp((start + offset) / 1000, UTC).isoformat() for offset in (0, 1000)]
        head = {"specversion": "1.0", "id": "1", "source": "/plant", "type": "reading"}
        whole = {**head, "time": said[0], "data": {"power": 1.0}}
        kind = {"Content-Type": "application/cloudevents+json"}
        assert (await self.http.post("/plant/c-01", content=orjson.dumps(whole), headers=kind)).status_code == 202
        headers = {f"ce-{name}": value for name, value in (head | {"time": said[1]}).items()}
        assert (await self.http.post("/plant/c-01", json={"power": 2.0}, headers=headers)).status_code == 202
        assert await self.stored(registry.store, 2) == [["c-01", start, 1.0], ["c-01", start + 1000, 2.0]]
        assert (await self.http.post("/plant/c-01", content=b"{broken", headers=headers)).status_code == 202
        assert registry.store.read("MATCH (d:_DeadLetter) RETURN d.code") == [["NOT_JSON"]]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_a_taken_port_is_named(self, running: Any, mapping: SourceMapping, secured: Settings) -> None:
        with pytest.raises(StackError, match="cannot listen"):
            await HttpSource(mapping, secured).run(nowhere)

    @pytest.mark.parametrize(
        ("grant", "sent", "status"),
        [
            ({"twins": ("c-01",)}, "c-01", 202),
            ({"twins": ("c-01",)}, "c-02", 403),
            ({"twins": ("c-0*",)}, "c-02", 202),
            ({"sources": ("push-*",)}, "c-01", 202),
            ({"sources": ("other",)}, "c-01", 403),
            ({"roots": ("c-01",)}, "c-01", 202),
            ({"roots": ("c-01",)}, "c-02", 403),
            ({"roots": ("c-01",)}, "nobody", 403),
            ({"publish": ("plant/#",)}, "c-01", 202),
        ],
    )
    async def test_a_device_pushes_what_it_is_bound_to(
        self, grant: dict[str, Any], sent: str, status: int, running: Any, registry: Registry
    ) -> None:
        key = keys.create(registry.store, Grant("device", "ingest", **grant))
        headers = {"Authorization": f"Bearer {key}"}
        answer = await self.http.post(f"/plant/{sent}", json={"ts": recent(), "power": 1.0}, headers=headers)
        assert (answer.status_code, answer.json().get("code")) == (status, {202: None, 403: "FORBIDDEN"}[status])
        elsewhere = await self.http.post("/elsewhere", json={"power": 1.0}, headers=headers)
        assert elsewhere.status_code == (202 if status == 202 and not (grant.keys() & {"twins", "roots"}) else 403)

    async def test_other_roles_and_strangers_push_nothing(self, running: Any, registry: Registry) -> None:
        for role in ("reader", "operator", "engineer"):
            headers = {"Authorization": f"Token {keys.create(registry.store, Grant(role, role))}"}
            assert (await self.http.post("/plant/c-01", json={"power": 1.0}, headers=headers)).status_code == 403
        key = keys.create(registry.store, Grant("device", "ingest", twins=("c-*",)))
        headers = {"Authorization": f"Bearer {key}"}
        assert (await self.http.post("/plant/c-01", json={"power": 1.0}, headers=headers)).status_code == 202
        keys.revoke(registry.store, key.split("_")[1])
        await asyncio.sleep(gate.KEPT_SECONDS)
        assert (await self.http.post("/plant/c-01", json={"power": 1.0}, headers=headers)).status_code == 401

    async def test_a_line_of_another_twin_refuses_all(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        rules = (Rule(match="turbine,unit={unit}", twin="c-{unit}"),)
        mapped = mapping.model_copy(update={"rules": rules})
        key = keys.create(registry.store, Grant("device", "ingest", twins=("c-01",)))
        headers, start = {"Authorization": f"Token {key}"}, recent()
        async with pushed(mapped, secured, registry):
            lines = [f"turbine,unit=0{unit} power={unit} {start}" for unit in (1, 2)]
            answer = await self.http.post("/write?precision=ms", content="\n".join(lines), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
            answer = await self.http.post("/write?precision=ms", content=lines[0], headers=headers)
            assert answer.status_code == 202
            assert await self.stored(registry.store, 1) == [["c-01", start, 1.0]]
            for text in ("turbine,unit=01 power=1 " + "9" * 5000, f"turbine,unit=01 power={'9' * 5000}i {start}"):
                answer = await self.http.post("/write?precision=ms", content=text, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (400, "NOT_LINE_PROTOCOL")

    async def test_twins_that_a_rule_makes_are_made_below_what_the_device_is_bound_to(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        rule = Rule(match="{farm}/{unit}", twin="{farm}-{unit}", create="Turbine", under=Under(twin="{farm}", by="contains"))
        mapped = mapping.model_copy(update={"rules": (rule,), "bound": ("*",)})
        create(registry.store, registry.catalog, [NewTwin(name, "WindFarm") for name in ("fa", "fb")])
        key = keys.create(registry.store, Grant("device", "ingest", roots=("fa",), via=("contains",)))
        headers = {"Authorization": f"Bearer {key}"}
        async with pushed(mapped, secured, registry):
            for address, status in (("fa/1", 202), ("fb/1", 403), ("fa/1", 202), ("c/01", 403)):
                answer = await self.http.post(f"/{address}", json={"power": 1.0}, headers=headers)
                assert (address, answer.status_code) == (address, status)
        made = registry.store.read("MATCH (:Twin {dtId: 'fa'})-[:contains]->(t:Turbine) RETURN t.dtId")
        registry.store.run("MATCH (t:Twin) WHERE t.dtId STARTS WITH 'f' DETACH DELETE t")
        assert made == [["fa-1"]]

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"[" + b",".join([b"{}"] * 1_000_000) + b"]", "application/json"),
            (b"[" + b",".join([b"1"] * 30_000) + b"]", "application/json"),
            (b"{}\n" * 1_000_000, "application/x-ndjson"),
            (b"\n" * 1_000_000, "application/x-ndjson"),
            (b"a,unit=01 power=1\n" * 30_000, "text/plain"),
        ],
    )
    async def test_F31_a_request_is_no_multitude(self, body: bytes, kind: str, running: Any, registry: Registry) -> None:
        path = "/write" if kind == "text/plain" else "/plant/c-01"
        before = psutil.Process().memory_info().rss
        answer = await self.http.post(path, content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
        assert psutil.Process().memory_info().rss - before < 150_000_000

    async def test_F31_bodies_together_have_a_limit(
        self, running: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ingest.http.HELD_BYTES", 1000)
        answer = await self.http.post("/plant/c-01", content=b" " * 2000 + b'{"power": 1.0}')
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "BUSY", "5")
        assert (await self.http.post("/plant/c-01", json={"power": 1.0})).status_code == 202

    async def test_a_client_certificate_stands_for_its_key(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings, tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path, "authority")
        server, device, other = (authority.issue(name) for name in ("server", "device", "other"))
        options = {**mapping.options, "certificate": server[0], "key": server[1], "client_ca": str(authority.file)}
        mapped = mapping.model_copy(update={"options": options})
        made = twingraph(secured, "keys", "create", "d", "--role", "ingest", "--twin", "c-01", "--certificate", str(device[0]))
        assert made.returncode == 0, made.stderr
        async with pushed(mapped, secured, registry):
            told = [(device, "c-01", 202), (device, "c-02", 403), (other, "c-01", 401), (None, "c-01", 401)]
            for certificate, twin, status in told:
                trust = ssl.create_default_context(cafile=authority.file)
                if certificate is not None:
                    trust.load_cert_chain(*certificate)
                async with httpx.AsyncClient(verify=trust, timeout=20) as http:
                    url = f"https://127.0.0.1:{mapping.options['port']}/plant/{twin}"
                    answer = await http.post(url, json={"ts": recent(), "power": 1.0})
                assert (twin, answer.status_code) == (twin, status)


async def test_a_gateways_source_knows_its_own_token_alone(secured: Settings) -> None:
    """Not the administrator's."""
    port = free_port()
    mapping = SourceMapping(source="g", protocol="http", options={"port": port}, rules=(Rule(match="{unit}", twin="{unit}"),))
    task = asyncio.create_task(HttpSource(mapping, secured).run(acknowledged))
    await asyncio.sleep(0.5)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        statuses = [
            (await http.post("/c-01", json={"power": 1.0}, headers={"Authorization": f"Bearer {token}"})).status_code
            for token in (secured.push_token, secured.token, "other")
        ]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert statuses == [202, 401, 401]


async def acknowledged(message: Message) -> None:
    message.receipt.acknowledge()


@asynccontextmanager
async def pushed(mapping: SourceMapping, settings: Settings, registry: Registry) -> AsyncIterator[None]:
    """The source of another mapping, at its port."""
    assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
    task = asyncio.create_task(Pipeline(gated(mapping, settings, registry), assembler, registry.store, 0.02, 1000).run())
    await asyncio.sleep(0.5)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
