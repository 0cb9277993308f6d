"""The API's rows about drives and nodes, for operators."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from coffre.console.api.operator_row import operator_row as _row
from coffre.console.api.route import Rows

Path = Annotated[
    str, Meta(min_length=1, max_length=4096, description="An absolute folder.", examples=["/d/1"])
]
DriveName = Annotated[str, Meta(min_length=1, description="A drive's id, or its path.")]
NodeName = Annotated[str, Meta(min_length=1, max_length=255)]


class Drive(Struct):
    """A drive as it stands. `left_…`: what still needs it; of one that is being emptied also the
    rate and the seconds until nothing is left (null: not known)."""

    id: str
    path: str
    node: str
    rack: str
    state: str
    reason: str
    intent: str
    free_bytes: int | None
    left_bytes: int
    left_chunks: int
    bytes_per_second: int | None
    seconds_left: int | None


class NewDrive(Struct, kw_only=True):
    path: Path
    node: NodeName | None = None
    rack: NodeName | None = None


class DriveReplacement(Struct, kw_only=True):
    drive: DriveName
    path: Path | None = None


class DrivesNamed(Struct, kw_only=True):
    """A drive, or all of a node."""

    drive: DriveName | None = None
    node: NodeName | None = None


class Draining(DrivesNamed, kw_only=True):
    accept_less: Annotated[
        bool, Meta(description="Also where what is left cannot keep what the geometry promises.")
    ] = False


class NodeRow(Struct):
    """A node: its drives and what is left on them."""

    node: str
    rack: str
    drives: int
    states: list[str]
    free_bytes: int
    left_bytes: int
    left_chunks: int


_DRIVES: Final = Rows(key=("node", "rack", "path", "id"))

ROUTES: Final = (
    _row("drive.list", "GET", "/drives", Drive, "Every drive of the zone.", rows=_DRIVES),
    _row(
        "drive.add",
        "POST",
        "/drives",
        Drive,
        "An empty folder becomes a drive.",
        NewDrive,
        rows=_DRIVES,
    ),
    _row(
        "drive.replace",
        "POST",
        "/drives/replace",
        Drive,
        "An empty folder takes the place of a drive that is gone.",
        DriveReplacement,
        rows=_DRIVES,
    ),
    _row(
        "drive.drain",
        "POST",
        "/drives/drain",
        Drive,
        "Empty a drive, or all of a node; it goes on by itself.",
        Draining,
        rows=_DRIVES,
    ),
    _row(
        "drive.cancel",
        "POST",
        "/drives/cancel",
        Drive,
        "Stop emptying: what was moved stays where it is.",
        DrivesNamed,
        rows=_DRIVES,
    ),
    _row(
        "drive.remove",
        "POST",
        "/drives/remove",
        Drive,
        "Forget drives that nothing needs any more.",
        DrivesNamed,
        rows=_DRIVES,
    ),
    _row(
        "node.list",
        "GET",
        "/nodes",
        NodeRow,
        "Every node with its drives.",
        rows=Rows(key=("node", "rack")),
    ),
)
