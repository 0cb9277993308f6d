"""Settings of a node: one TOML file, `COFFRE_*` variables over it, command-line flags over both.

Every key is documented in `docs/configuration.md`; a test compares. Sizes are bytes, durations are
seconds. What is wrong is one `ConfigError` that names the key and where it was read.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from coffre.access.networks import PRIVATE_NETWORKS, BadNetwork, read_networks
from coffre.vault.records import Geometry

FILE_NAME: Final = "coffre.toml"
PREFIX: Final = "COFFRE_"
CONFIG_VARIABLE: Final = "COFFRE_CONFIG"
# Variables of the test suite: no settings, and no typing errors either.
TEST_VARIABLES: Final = ("COFFRE_REQUIRE_ALL", "COFFRE_LONG", "COFFRE_TEST_")
# Of the command line: which node it is about.
CLIENT_VARIABLES: Final = ("COFFRE_SERVER", "COFFRE_TOKEN_FILE", "COFFRE_CA_FILE")

CONSOLE_PORT: Final = 9001
KIB: Final = 1024
MIB: Final = 1024 * KIB

# 0 asks for any free port: the ready line says which.
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
Delay = Annotated[float, Meta(ge=0)]
Rate = Annotated[int, Meta(ge=64 * KIB)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
HostName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
# A host name, one with a wildcard in front, or an address.
CertifiedName = Annotated[
    str, Meta(pattern=r"^((\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+)$")
]

_log = logging.getLogger(__name__)


class ConfigError(Exception):
    """A setting that cannot be used: one line, with the key and the place that named it."""


class DriveFolder(Struct, frozen=True, forbid_unknown_fields=True):
    """One drive: an absolute folder, and the node and rack that it stands in."""

    path: Annotated[str, Meta(pattern="^/")]
    node: Annotated[str, Meta(min_length=1)]
    rack: Annotated[str, Meta(min_length=1)]


class Destination(Struct, frozen=True, forbid_unknown_fields=True):
    """One that buckets may notify of changes: a URL that is posted to, or a stream of Redis."""

    name: Name
    kind: Literal["webhook", "redis"]
    url: Annotated[str, Meta(pattern=r"^(https?://[^/@]+|rediss?://[^/]+)(/.*)?$")]
    token_file: str = ""
    stream: Annotated[str, Meta(min_length=1)] = "coffre-events"


class ForwardTarget(Struct, frozen=True, forbid_unknown_fields=True):
    """One that the audit's records are forwarded to: a syslog server (`udp:`, `tcp:`, `tls:`), a
    URL that lines of JSON are posted to, or a file. `secret_file`: what posts are signed with;
    `ca_file`: who signs the target's certificate, where the system does not know."""

    name: Name
    url: Annotated[
        str,
        Meta(pattern=r"^((udp|tcp|tls)://[^/@]+:[0-9]{1,5}|https?://[^/@]+(/.*)?|file:///.+)$"),
    ]
    secret_file: str = ""
    ca_file: str = ""


class OidcIssuer(Struct, frozen=True, forbid_unknown_fields=True):
    """One whose tokens AssumeRoleWithWebIdentity takes: its URL as its tokens name it, and for whom
    they must be meant. `ca_file`: who signs its certificate, where the system does not know. With a
    `client_id` people sign in to the console by it, under the `label` that its button shows."""

    issuer: Annotated[str, Meta(pattern=r"^https://[^/@?#]+(/[^?#]*)?$")]
    audiences: Annotated[tuple[str, ...], Meta(min_length=1)]
    ca_file: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    label: str = ""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's whole configuration. `docs/configuration.md` says what each key means."""

    data: Annotated[str, Meta(min_length=1)] = "data"
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 9000
    region: Name = "us-east-1"
    zone: Name = "zone-1"
    bases: Annotated[tuple[HostName, ...], Meta(min_length=1)] = ("localhost",)
    website_bases: tuple[HostName, ...] = ()
    default_store: Name = "default"
    workers: Annotated[int, Meta(ge=0, le=256)] = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    metrics_port: Port = 0
    metrics_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    metrics_token_file: Annotated[str, Meta(pattern="^(/.*)?$")] = ""
    metrics_named: Annotated[int, Meta(ge=1, le=1000)] = 100
    otlp_endpoint: Annotated[str, Meta(pattern=r"^(https?://[^/@]+(/.*)?)?$")] = ""
    otlp_share: Annotated[float, Meta(ge=0, le=1)] = 1.0

    plain_http: Literal["loopback", "always", "never"] = "loopback"
    https_port: Port = 0
    tls_certificate: Annotated[str, Meta(pattern="^(/.*)?$")] = ""
    tls_key: Annotated[str, Meta(pattern="^(/.*)?$")] = ""
    tls_minimum: Literal["1.2", "1.3"] = "1.3"
    tls_names: tuple[CertifiedName, ...] = ()
    audit: bool = True
    audit_when_full: Literal["refuse", "drop"] = "refuse"
    console: bool = True
    console_port: Port = CONSOLE_PORT
    console_session_hours: Annotated[float, Meta(gt=0, le=168)] = 12.0
    console_idle_minutes: Annotated[float, Meta(gt=0, le=1440)] = 30.0
    console_rate: Annotated[int, Meta(ge=1)] = 25
    web_upload_limit: Annotated[int, Meta(ge=0)] = 40_000_000
    trusted_proxies: tuple[str, ...] = ()
    proxy_header: Literal["X-Forwarded-For", "Forwarded", "PROXY"] = "X-Forwarded-For"

    drives: tuple[DriveFolder, ...] = ()
    geometry: Literal["12+4", "8+4", "8+3", "4+2", "2+1", "1+0"] = "12+4"
    landing_copies: Annotated[int, Meta(ge=3, le=5)] = 3
    drive_reserve: Annotated[int, Meta(ge=0)] = 1024 * MIB
    inline_limit: Annotated[int, Meta(ge=64 * KIB, le=8 * MIB)] = MIB
    seal_after: Seconds = 60.0
    collect_at: Annotated[float, Meta(ge=0.05, le=1)] = 0.3
    sync_deadline: Seconds = 2.0
    read_deadline: Seconds = 2.0
    repair_rate: Rate = 64 * MIB
    scrub_rate: Rate = 256 * MIB
    scrub_days: Annotated[float, Meta(gt=0)] = 30.0

    archive_geometry: Literal["", "12+4", "8+4", "8+3", "4+2", "2+1", "1+0"] = ""
    restore_expedited: Delay = 0.0
    restore_standard: Delay = 300.0
    restore_bulk: Delay = 3600.0

    snapshot_every: Seconds = 3600.0
    snapshots_kept: Annotated[int, Meta(ge=2, le=8)] = 3
    follower: bool = True
    follower_path: Annotated[str, Meta(pattern="^(/.*)?$")] = ""

    bucket_limit: Annotated[int, Meta(ge=1)] = 999
    allow_v2: bool = True
    access_log_every: Seconds = 300.0
    notify: tuple[Destination, ...] = ()
    notify_patience: Seconds = 345600.0
    audit_keep_days: Annotated[int, Meta(ge=0, le=36500)] = 400
    audit_forward: tuple[ForwardTarget, ...] = ()
    oidc: tuple[OidcIssuer, ...] = ()
    sse_c_over_http: bool = False
    private_networks: tuple[str, ...] = PRIVATE_NETWORKS
    kms_url: Annotated[str, Meta(pattern=r"^(https?://[^/@]+(/.*)?)?$")] = ""
    kms_token_file: str = ""
    kms_mount: Annotated[str, Meta(min_length=1)] = "transit"
    clock_url: Annotated[str, Meta(pattern=r"^(https://[^/@]+(/.*)?)?$")] = ""
    clock_ca_file: Annotated[str, Meta(pattern="^(/.*)?$")] = ""

    header_timeout: Seconds = 15.0
    body_timeout: Seconds = 60.0
    drain_timeout: Seconds = 30.0
    queued_mutations: Annotated[int, Meta(ge=1)] = 1024
    queued_bytes: Annotated[int, Meta(ge=8 * MIB)] = 64 * MIB

    def __post_init__(self) -> None:
        """Raises ValueError for what no pattern can tell of one key."""
        for key in ("trusted_proxies", "private_networks"):
            try:
                read_networks(getattr(self, key))
            except BadNetwork as error:
                raise ValueError(f"{key}: {error}") from error
        names = [one.name for one in self.audit_forward]
        if len(names) > len(set(names)):
            raise ValueError("audit_forward: two targets have one name")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach what listens on `host`."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def serves_plain(self) -> bool:
        """Whether HTTP without TLS is offered, on `port`; HTTPS is then on another."""
        if self.plain_http == "loopback":
            return self.on_loopback
        return self.plain_http == "always"

    @property
    def coding(self) -> Geometry:
        """`geometry` as the vault's value."""
        return coding_of(self.geometry)

    @property
    def worker_count(self) -> int:
        """HTTP processes: `workers`, or one a usable core."""
        return self.workers or len(os.sched_getaffinity(0))

    def inside(self, name: str) -> str:
        """The absolute path of `name` in the data folder."""
        return os.path.join(self.data, name)

    @property
    def socket_path(self) -> str:
        """Where a running node listens for the CLI (mode 0600)."""
        return self.inside("coffre.sock")


def coding_of(text: str) -> Geometry:
    """A setting as the vault's value."""
    k, m = text.split("+")
    return Geometry(int(k), int(m))


KEYS: Final = Settings.__struct_fields__
_TEXT_LISTS: Final = ("bases", "website_bases", "tls_names", "trusted_proxies", "private_networks")
_FILE_ONLY: Final = ("drives", "notify", "oidc", "audit_forward")


def variable(key: str) -> str | None:
    """The environment variable that sets `key`; None where only the file can."""
    return None if key in _FILE_ONLY else PREFIX + key.upper()


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], config: str | None = None
) -> Settings:
    """Settings from flags over variables over the file over defaults; `data` comes out absolute.

    The file is `config`, else `COFFRE_CONFIG`, else `coffre.toml` in the data folder if it stands.
    Raises `ConfigError`.
    """
    chosen = _checked(dict(flags), "command line")
    variables = _from_environment(environ)
    named = config or environ.get(CONFIG_VARIABLE)
    if named:
        file = _from_file(named)
    else:
        # Without a named file the data folder is known before the file in it is read.
        folder = str({**variables, **chosen}.get("data", Settings().data))
        path = os.path.join(folder, FILE_NAME)
        file = _from_file(path) if os.path.exists(path) else {}
        if "data" in file:
            raise ConfigError(
                f"{path}: data: a file inside the data folder cannot move it;"
                f" start with --config {path} or remove the key"
            )
    merged = {**file, **variables, **chosen}
    merged["data"] = os.path.abspath(str(merged.get("data", Settings().data)))
    settings = _settings(merged, "configuration")
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise ConfigError("tls_certificate: goes with tls_key: give both, or neither")
    if settings.proxy_header == "PROXY" and not settings.trusted_proxies:
        raise ConfigError("proxy_header: PROXY is taken from trusted_proxies alone: name them")


def _from_file(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as source:
            values = tomllib.load(source)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    checked = _checked(values, path)
    if "data" in checked:
        # A relative folder in a file is meant from where the file stands.
        checked["data"] = os.path.join(os.path.dirname(os.path.abspath(path)), str(checked["data"]))
    return checked


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    known = {name: key for key in KEYS if (name := variable(key)) is not None}
    values: dict[str, object] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name not in known:
            if not name.startswith(TEST_VARIABLES) and name not in CLIENT_VARIABLES:
                _log.warning("%s is no setting and is ignored%s", name, _nearest(name, known))
            continue
        key, text = known[name], environ[name]
        value = [item.strip() for item in text.split(",")] if key in _TEXT_LISTS else text
        values |= _checked({key: value}, name, strict=False)
    return values


def _checked(values: dict[str, object], source: str, *, strict: bool = True) -> dict[str, object]:
    """The same keys with their values in their own types; `source` names them in an error."""
    for key in values:
        if key not in KEYS:
            raise ConfigError(f"{source}: unknown key {key!r}{_nearest(key, KEYS)}")
    settings = _settings(values, source, strict=strict)
    return {key: getattr(settings, key) for key in values}


def _settings(values: dict[str, object], source: str, *, strict: bool = True) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_reason(str(error))}") from error


def _reason(message: str) -> str:
    """msgspec's words with the key in front: "port: expected `int`, got `str`"."""
    found = re.fullmatch(r"(.*) - at `\$\.(.*)`", message, re.DOTALL)
    if not found:
        return message
    what, key = found.groups()
    return f"{key}: {what[:1].lower()}{what[1:]}"


def _nearest(name: str, known: Mapping[str, str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
