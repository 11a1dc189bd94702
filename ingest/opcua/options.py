"""Options of a source over OPC UA."""

from pydantic import BaseModel, ConfigDict, Field

from ingest.options import Options

PUBLISHING_MS = 500.0
SAMPLING_MS = 0.0  # as fast as the server does
QUEUE = 100_000
RETRY_SECONDS = 30.0
MODES = ("Sign", "SignAndEncrypt")


class NodeOptions(BaseModel):
    """One monitored node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, description="identifier, such as nsu=urn:plant;s=pump1.power")
    address: str = Field("", description="what rules match; the identifier without its namespace")
    sampling: float | None = Field(None, ge=-1, description="sampling interval [ms]")
    queue: int | None = Field(None, ge=0, description="changes that the server keeps between two publishings")
    deadband: float | None = Field(None, ge=0, description="absolute deadband")


class OpcUaOptions(Options):
    url: str | tuple[str, ...] = Field("", description="opc.tcp://host:4840; several servers as a list share batches")
    namespace: str = Field("", description="URI of a namespace whose variables are browsed and matched by the rules")
    nodes: tuple[NodeOptions, ...] = Field((), description="nodes by identifier: id, address, sampling, queue, deadband")
    publishednodes: str = Field("", description="file: nodes as OPC Publisher lists them")
    publishing_ms: float = Field(PUBLISHING_MS, gt=0, description="publishing interval [ms]")
    sampling_ms: float = Field(SAMPLING_MS, description="sampling interval [ms]; 0: as fast as the server can")
    queue: int = Field(QUEUE, ge=1, description="changes kept while the graph is away")
    history: bool = Field(False, description="fill a gap from the server's own history")
    events: bool | str | tuple[str, ...] = Field(False, description="alarms of the server, or of these nodes")
    retry_seconds: float = Field(RETRY_SECONDS, gt=0, description="between two tries of a node that cannot be monitored [s]")
    silence_seconds: float | None = Field(None, gt=0, description="silence after which a subscription counts as lost [s]")
    user: str = Field("", description="user name")
    password_variable: str = Field("", description="environment variable with the password")
    user_certificate: str = Field("", description="file: certificate of the user (PEM)")
    user_key: str = Field("", description="file: its key (PEM)")
    security: str = Field("", description="security policy: Basic256Sha256, Aes128Sha256RsaOaep, Aes256Sha256RsaPss")
    mode: str = Field(MODES[1], description="Sign or SignAndEncrypt")
    certificate: str = Field("", description="file: our application certificate (PEM)")
    key: str = Field("", description="file: its key (PEM)")
    trust: str | tuple[str, ...] = Field((), description="folders of servers' certificates, or of who signed them")
    deprecated: bool = Field(False, description="also policies that are no longer thought safe")
