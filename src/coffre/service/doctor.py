"""What `coffre doctor` looks at: configuration, folder, keys, drives, racks, clock, limits.

Nothing is changed and no engine is opened: superblocks are read as they stand, and a node that runs
is asked. Every check says what it found and, unless all is well, what to do.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct

from coffre import __version__
from coffre.config import DriveFolder, Settings
from coffre.service.drives import configured_folders
from coffre.service.key_files import last_backup
from coffre.service.layout import FORMAT, DataFolder, StartRefused
from coffre.service.machine import FLEETING, REMOTE, FileSystem, file_system, kernel_clock
from coffre.service.tls import WARN_DAYS, BadCertificate, facts, is_local
from coffre.service.zone import World, open_root_keys
from coffre.vault.drives import Drive, DriveSet, DriveState, broken_promise
from coffre.vault.interface import StorageFull
from coffre.vault.records import Geometry
from coffre.vault.superblock import SlotRead, SlotStatus, Superblock, SuperblockStore

FILES_WANTED = 4096
# Times of files that lie further ahead than this say that the clock went back.
AHEAD_S = 60.0
# By less than this the release clock may be apart from the wall clock.
APART_S = 60.0
_DAY_MS = 24 * 3600 * 1000


class Verdict(StrEnum):
    """warn: it serves, and something is worth doing. bad: data or service is in danger now."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Check(Struct, frozen=True):
    """One thing that was looked at; `do` is empty if nothing need be done."""

    name: str
    verdict: Verdict
    says: str
    do: str = ""


class Running(Struct, frozen=True):
    """What a node that serves said of itself (`status`, `drive.list`, `key.check`, `steward.list`,
    `snapshot.list`, `follower.status`); `follower` is None if none runs."""

    status: Mapping[str, Any]
    drives: list[dict[str, Any]]
    keys: Mapping[str, Any]
    stewards: list[dict[str, Any]]
    snapshots: list[dict[str, Any]]
    follower: Mapping[str, Any] | None


def examine(settings: Settings, world: World, running: Running | None) -> list[Check]:
    """All checks, in the order in which they matter to each other."""
    folder = DataFolder(Path(settings.data))
    checks = [Check("version", Verdict.OK, f"coffre {__version__}, data folder format {FORMAT}")]
    checks += [_folder(folder), *_permissions(settings, folder)]
    try:
        folders = configured_folders(settings)
        root_keys = open_root_keys(folder)
    except StartRefused as refused:
        return [*checks, Check("root key", Verdict.BAD, *_split(str(refused)))]
    superblocks = SuperblockStore(world.disk, root_keys, world.entropy)
    reads = {one.path: superblocks.read(one.path) for one in folders}
    systems = _systems(folders)
    checks += [_backup(folder, [key.id.hex() for key in root_keys.all()], world)]
    checks += [_keys(running)] if running else []
    checks += _drives(folders, reads, running)
    checks += _space(settings, folders, systems, world)
    checks += [_labels(folders, systems), _file_systems(systems)]
    checks += [_promise(settings, world, folders, reads)]
    if running:
        checks += _left_to_do(running)
        checks += _stewards(running)
        checks += [_snapshots(running, world), _follower(settings, running)]
    checks += [_release_clock(running)] if running else []
    checks += [_clock(folder, world), _files(), *_transport(settings, world)]
    return checks


def labels_only(folders: tuple[DriveFolder, ...]) -> str:
    """Which labels stand for nothing, in words; empty when drives of different racks, nodes and
    places lie on different devices."""
    return _same_devices(folders, _systems(folders))


def _systems(folders: tuple[DriveFolder, ...]) -> dict[str, FileSystem]:
    found: dict[str, FileSystem] = {}
    for one in folders:
        try:
            found[one.path] = file_system(one.path)
        except OSError:
            continue  # A drive that is away: `_drives` says so.
    return found


def _folder(folder: DataFolder) -> Check:
    try:
        state = folder.state()
    except StartRefused as refused:
        return Check("data folder", Verdict.BAD, *_split(str(refused)))
    if state != "ours":
        return Check(
            "data folder", Verdict.BAD, f"{folder.root} holds no region", "`coffre init` makes one"
        )
    return Check("data folder", Verdict.OK, f"{folder.root}")


def _permissions(settings: Settings, folder: DataFolder) -> Iterator[Check]:
    """Who else may read: the folder itself shields what is in it."""
    wanted = [(folder.root, 0o700)]
    inside = (folder.root_key, folder.socket, folder.link, folder.steward_socket, folder.catalog)
    wanted += [(path, 0o600) for path in inside]
    if settings.drives:
        wanted += [(Path(one.path), 0o700) for one in settings.drives]
    wide = []
    for path, most in wanted:
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & ~most:
            wide.append((path, mode, most))
    for path, mode, most in wide:
        verdict = Verdict.BAD if path == folder.root_key else Verdict.WARN
        yield Check("permissions", verdict, f"{path} has mode {mode:o}", f"chmod {most:o} {path}")
    if not wide:
        yield Check(
            "permissions", Verdict.OK, "folder, root.key and sockets are their owner's alone"
        )


def _backup(folder: DataFolder, keys: list[str], world: World) -> Check:
    backup = last_backup(folder)
    do = "`coffre key backup FILE`, and keep the file elsewhere"
    if backup is None:
        return Check("key backup", Verdict.WARN, "none is known: root.key is all there is", do)
    age = _ago(world, backup.made_ms)
    missing = [key for key in keys if key not in backup.keys]
    if missing:
        return Check("key backup", Verdict.BAD, f"{age}, without root key {missing[0]}", do)
    return Check("key backup", Verdict.OK, f"{age}, with every root key")


def _keys(running: Running) -> Check:
    problems = running.keys["problems"]
    if problems:
        return Check("root keys", Verdict.BAD, "; ".join(problems), "`coffre key check` says more")
    count = len(running.keys["keys"])
    return Check("root keys", Verdict.OK, f"{count} in root.key, everything opens")


def _drives(
    folders: tuple[DriveFolder, ...], reads: Mapping[str, SlotRead], running: Running | None
) -> Iterator[Check]:
    """What is wrong with which drive: as a running node sees them, else by their superblocks."""
    if running is not None:
        away = [
            (one["path"] or one["id"], one["state"], one.get("reason", ""))
            for one in running.drives
            if one["state"] != DriveState.PRESENT
        ]
    else:
        away = [
            (path, str(read.status), read.reason)
            for path, read in reads.items()
            if read.status is not SlotStatus.VALID
        ]
    for path, state, reason in away:
        yield Check(
            "drive",
            Verdict.WARN if state == DriveState.CHECKING else Verdict.BAD,
            f"{path} is {state}{f': {reason}' if reason else ''}",
            "bring it back, or replace it: `coffre drive list`",
        )
    if not away:
        yield Check("drives", Verdict.OK, f"all {len(folders)} are there")


def _space(
    settings: Settings,
    folders: tuple[DriveFolder, ...],
    systems: Mapping[str, FileSystem],
    world: World,
) -> Iterator[Check]:
    free: dict[str, int] = {}
    for one in folders:
        if one.path in systems:
            free[one.path] = world.disk.free_bytes(one.path)
    for path, system in systems.items():
        if system.read_only:
            do = "see the kernel's log why, mend it and mount it again"
            yield Check("free space", Verdict.BAD, f"{path} is mounted read-only", do)
    reserve = settings.drive_reserve
    full = [path for path, left in free.items() if left <= reserve]
    low = [path for path, left in free.items() if reserve < left <= 3 * reserve]
    do = "delete, or add drives: a drive at its reserve takes no new data"
    if full:
        words = f"{len(full)} of {len(free)} drives are down to the reserve, {full[0]} among them"
        yield Check("free space", Verdict.BAD, words, do)
    elif low:
        words = f"{len(low)} of {len(free)} drives are near the reserve, {low[0]} among them"
        yield Check("free space", Verdict.WARN, words, do)
    elif free:
        yield Check("free space", Verdict.OK, f"at least {_size(min(free.values()))} on each drive")


def _labels(folders: tuple[DriveFolder, ...], systems: Mapping[str, FileSystem]) -> Check:
    words = _same_devices(folders, systems)
    if words:
        do = "fine for a trial; for real drives see `drives` in docs/configuration.md"
        return Check("labels", Verdict.WARN, f"labels only: {words}", do)
    return Check("labels", Verdict.OK, "drives of different labels lie on different devices")


def _same_devices(folders: tuple[DriveFolder, ...], systems: Mapping[str, FileSystem]) -> str:
    found = [(systems[one.path].device, one) for one in folders if one.path in systems]
    racks = {(device, one.rack) for device, one in found}
    nodes = {(device, one.node) for device, one in found}
    devices = len({device for device, _ in found})
    shared = [
        words
        for words, count in (("racks", len(racks)), ("nodes", len(nodes)), ("drives", len(found)))
        if count > devices
    ]
    if not shared:
        return ""
    one = devices == 1
    return (
        f"{len(found)} drive folders lie on {'one device' if one else f'{devices} devices'}; "
        f"{' and '.join(shared)} that share one are lost with it"
    )


def _file_systems(systems: Mapping[str, FileSystem]) -> Check:
    kinds = sorted({system.words for system in systems.values()})
    says = ", ".join(kinds) or "no drive is there"
    found = {system.kind for system in systems.values()}
    if found & REMOTE:
        do = "use disks of this machine: what a remote file system calls synced may not be"
        return Check("file systems", Verdict.BAD, says, do)
    if found & FLEETING:
        do = "use a volume that stays when the machine or the container goes"
        return Check("file systems", Verdict.WARN, says, do)
    return Check("file systems", Verdict.OK, says)


def _promise(
    settings: Settings,
    world: World,
    folders: tuple[DriveFolder, ...],
    reads: Mapping[str, SlotRead],
) -> Check:
    """What new data survives on the drives that are there now."""
    valid = [read.superblock for read in reads.values() if read.superblock is not None]
    if not valid:
        return Check("racks", Verdict.BAD, "no drive of the zone can be read", "bring drives back")
    zone = max(valid, key=lambda one: (one.epoch, one.generation))
    wanted = zone.geometry
    there = DriveSet(world.disk, _there(folders, reads, zone), reserve_bytes=settings.drive_reserve)
    try:
        geometry, _ = there.choose_segments(wanted)
    except StorageFull as full:
        return Check("racks", Verdict.BAD, str(full), "bring drives back, or add some")
    racks = len({drive.rack for drive in there.present()})
    says = f"new data is {geometry} over {racks} racks: {_survives(geometry, there)} may be lost"
    if geometry != wanted:
        return Check("racks", Verdict.WARN, f"{says}; {wanted} is wanted", "bring drives back")
    return Check("racks", Verdict.OK, says)


def _there(
    folders: tuple[DriveFolder, ...], reads: Mapping[str, SlotRead], zone: Superblock
) -> Iterator[Drive]:
    """The zone's drives that take new data; those that were not found are missing."""
    intents = dict(zone.intents)
    found: set[bytes] = set()
    for one in folders:
        own = reads[one.path].superblock
        if own is not None and own.drive not in intents:
            found.add(own.drive)
            yield Drive(own.drive, one.path, one.node, one.rack)
    for label in zone.drives:
        if label.id not in found and label.id not in intents:
            yield Drive(label.id, "", label.node, label.rack, DriveState.MISSING)


def _survives(geometry: Geometry, drives: DriveSet) -> str:
    places = [(drive.node, drive.rack) for drive in drives.present()]
    some = f"any {geometry.m} drives" if geometry.m > 1 else "any drive" if geometry.m else "none"
    spread = len({rack for _, rack in places}) > 1 and not broken_promise(places, geometry)
    return f"{some} or one rack" if spread else f"{some}, but no rack"


def _left_to_do(running: Running) -> Iterator[Check]:
    """What is yet to be repaired."""
    below = running.status.get("below_target")
    if not below:
        return
    if below["no_place"]:
        says = (
            f"{below['chunks']} chunks are below target, {below['no_place']} segments have no place"
        )
        do = "replace the drive that is gone, or add drives: `coffre repair` says where"
        yield Check("repair", Verdict.BAD, says, do)
    elif below["chunks"]:
        do = "let it go on: `coffre repair` waits for it and says what is left"
        yield Check("repair", Verdict.WARN, f"{below['chunks']} chunks are below target", do)
    else:
        yield Check("repair", Verdict.OK, "no chunk is below target")


def _stewards(running: Running) -> Iterator[Check]:
    """Background work that does not go on."""
    for one in running.stewards:
        if one["state"] == "failing":
            do = "see the runbook; it tries again by itself"
            says = f"{one['name']} fails: {one['last_error']}"
            yield Check("stewards", Verdict.WARN, says, do)
        elif one["state"] == "paused":
            do = f"`coffre steward resume {one['name']}`"
            yield Check("stewards", Verdict.WARN, f"{one['name']} is paused", do)


def _snapshots(running: Running, world: World) -> Check:
    if not running.snapshots:
        return Check("snapshots", Verdict.OK, "none yet: a rebuild replays the whole log")
    age = _ago(world, running.snapshots[-1]["taken_ms"])
    return Check("snapshots", Verdict.OK, f"{len(running.snapshots)} kept, the newest {age}")


def _follower(settings: Settings, running: Running) -> Check:
    follower = running.follower
    if not settings.follower:
        return Check("follower", Verdict.OK, "turned off")
    if follower is None:
        do = "see the log of the follower's process; a lost catalog would be rebuilt meanwhile"
        return Check("follower", Verdict.WARN, "none runs", do)
    if follower["differs"]:
        do = "see the runbook, and report it: the two were made from one log"
        return Check("follower", Verdict.BAD, "its rows are not the catalog's", do)
    if follower["error"]:
        do = "it goes on by itself once that is mended"
        return Check("follower", Verdict.WARN, f"it waits: {follower['error']}", do)
    return Check("follower", Verdict.OK, f"{follower['behind'] or 0} records behind the catalog")


def _clock(folder: DataFolder, world: World) -> Check:
    now = world.clock.now_ms() / 1000
    ahead = _newest_time(folder) - now
    if ahead > AHEAD_S:
        do = "set the clock right before anything is written: times and orders come from it"
        return Check("clock", Verdict.BAD, f"files are dated {ahead:.0f} s ahead of the clock", do)
    clock = kernel_clock()
    if clock is None:
        return Check("clock", Verdict.OK, "not behind any file; the kernel does not say more")
    if not clock.kept:
        do = "run an NTP client (chrony, systemd-timesyncd): clients' signatures need the time"
        return Check("clock", Verdict.WARN, "the kernel says that nothing keeps it right", do)
    return Check("clock", Verdict.OK, f"kept right, to within {clock.error_s:.3f} s")


def _release_clock(running: Running) -> Check:
    behind = running.status["clock_behind_s"]
    if abs(behind) <= APART_S:
        return Check("release clock", Verdict.OK, "says what the wall clock says")
    if behind < 0:
        do = "set the wall clock right; `coffre clock show` tells what other sources say"
        says = f"the wall clock is {-behind:.0f} s behind it"
    else:
        do = "`coffre clock show`; configure `clock_url`, or `coffre clock accept` the wall clock"
        says = f"{behind:.0f} s behind the wall clock: locks and lifecycles end so much later"
    return Check("release clock", Verdict.WARN, says, do)


def _newest_time(folder: DataFolder) -> float:
    newest = 0.0
    for path in chain(folder.root.glob("*"), folder.root.glob("drives/*/superblock")):
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest


def _files() -> Check:
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < FILES_WANTED:
        do = f"raise it to {FILES_WANTED} or more (LimitNOFILE=, ulimit -n)"
        return Check("open files", Verdict.WARN, f"the limit is {limit} (hard: {hard})", do)
    return Check("open files", Verdict.OK, f"the limit is {limit}")


def _transport(settings: Settings, world: World) -> Iterator[Check]:
    if settings.on_loopback:
        says = f"listens on {settings.host}, for this machine alone"
        yield Check("transport", Verdict.OK, says)
    elif settings.serves_plain:
        do = "without a TLS proxy in front, bodies and presigned URLs are readable on the wire"
        yield Check("transport", Verdict.WARN, f"listens on {settings.host} without TLS too", do)
    else:
        yield Check("transport", Verdict.OK, f"listens on {settings.host} with TLS alone")
    try:
        found = facts(settings)
    except BadCertificate as bad:
        if not is_local(settings):
            yield Check("certificate", Verdict.BAD, *_split(str(bad)))
        return  # The local authority is made at the next start.
    days = (found["not_after_ms"] - world.clock.now_ms()) // _DAY_MS
    do = "`coffre tls renew`" if is_local(settings) else "put another in its place"
    if days < 0:
        yield Check("certificate", Verdict.BAD, f"{found['certificate']} has ended", do)
    elif days < WARN_DAYS:
        yield Check("certificate", Verdict.WARN, f"{found['certificate']} ends in {days} days", do)
    else:
        yield Check("certificate", Verdict.OK, f"{found['certificate']} lasts {days} days")


def _split(words: str) -> tuple[str, str]:
    """A refusal is "what: what to do"."""
    says, _, do = words.rpartition(": ")
    return (says, do) if says else (words, "")


def _ago(world: World, then_ms: int) -> str:
    days = max(0, world.clock.now_ms() - then_ms) // _DAY_MS
    return "today" if not days else f"{days} day{'s' if days > 1 else ''} ago"


def _size(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def worst(checks: list[Check]) -> Verdict:
    """The worst verdict of all."""
    order = list(Verdict)
    return max((check.verdict for check in checks), key=order.index)
