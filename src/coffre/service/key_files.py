"""Backups of the root keys as files: made, noted so that their age is known, and brought back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from coffre.config import Settings
from coffre.service.drives import configured_folders
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.zone import World, open_root_keys
from coffre.system.disk import Disk
from coffre.vault.key_backup import BackupDamaged, open_backup, read_head, seal_backup
from coffre.vault.keys import RootKey, RootKeyFile, WrongKey, write_root_keys
from coffre.vault.superblock import SlotStatus, SuperblockStore

PASSPHRASE_LENGTH = 12
_MOST_BYTES = 1 << 20


class Backup(Struct, frozen=True):
    """The newest backup that was made here: when, and of which keys (ids in hex)."""

    made_ms: int
    keys: tuple[str, ...]


def last_backup(folder: DataFolder) -> Backup | None:
    """The newest backup, as it was noted; None when there is no note that can be read."""
    try:
        return msgspec.json.decode(folder.key_backup.read_bytes(), type=Backup)
    except (OSError, msgspec.MsgspecError):
        return None


def back_up(settings: Settings, world: World, file: Path, passphrase: str) -> dict[str, Any]:
    """Write all root keys to a new file under a passphrase, read it back, and note that it was
    made. Raises StartRefused."""
    folder = DataFolder(Path(settings.data))
    if file.resolve().is_relative_to(folder.root.resolve()):
        raise StartRefused(f"{file} is in the data folder and would be lost with it: name another")
    data, backup, keys = _sealed(settings, world, passphrase)
    try:
        _write_new(world.disk, str(file), data)
        whole = open_backup(_read(world.disk, str(file)), passphrase) == keys
    except FileExistsError:
        raise StartRefused(f"{file} exists: name a new file, none is replaced") from None
    except OSError as error:
        raise StartRefused(f"{file} cannot be written: {error.strerror}") from error
    if not whole:
        raise StartRefused(f"{file} does not read back as it was written: make another backup")
    _note(folder, world.disk, backup)
    return {"file": str(file), "keys": list(backup.keys), "made_ms": backup.made_ms}


def back_up_bytes(settings: Settings, world: World, passphrase: str) -> tuple[bytes, Backup]:
    """What `back_up` writes, for who keeps it elsewhere; noted as made. Raises StartRefused."""
    data, backup, keys = _sealed(settings, world, passphrase)
    if open_backup(data, passphrase) != keys:
        raise StartRefused("the backup does not open as it was made: make another")
    _note(DataFolder(Path(settings.data)), world.disk, backup)
    return data, backup


def _sealed(
    settings: Settings, world: World, passphrase: str
) -> tuple[bytes, Backup, tuple[RootKey, ...]]:
    """All root keys under a passphrase; what is noted of it, and the keys."""
    if len(passphrase) < PASSPHRASE_LENGTH:
        raise StartRefused(f"a passphrase has at least {PASSPHRASE_LENGTH} characters")
    keys = open_root_keys(DataFolder(Path(settings.data))).all()
    made_ms = world.clock.now_ms()
    data = seal_backup(
        keys,
        passphrase,
        region=settings.region,
        zone=settings.zone,
        made_ms=made_ms,
        entropy=world.entropy,
    )
    return data, Backup(made_ms, tuple(key.id.hex() for key in keys)), keys


def restore(settings: Settings, world: World, file: Path, passphrase: str) -> dict[str, Any]:
    """Make `root.key` from a backup, in a folder that has none. Raises StartRefused."""
    folder = DataFolder(Path(settings.data))
    if folder.root_key.exists():
        raise StartRefused(f"{folder.root_key} exists and is not replaced: move it away first")
    try:
        data = _read(world.disk, str(file))
        head = read_head(data)
        keys = open_backup(data, passphrase)
    except OSError as error:
        raise StartRefused(f"{file} cannot be read: {error.strerror}") from error
    except (BackupDamaged, WrongKey) as error:
        raise StartRefused(f"{file}: {error}") from error
    folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_root_keys(str(folder.root_key), keys, world.disk)
    superblocks = SuperblockStore(world.disk, RootKeyFile(str(folder.root_key)), world.entropy)
    found = [superblocks.read(one.path).status for one in configured_folders(settings)]
    ids = [key.id.hex() for key in keys]
    _note(folder, world.disk, Backup(head.made_ms, tuple(ids)))
    return {
        "root_key": str(folder.root_key),
        "keys": ids,
        "made_ms": head.made_ms,
        "drives_opened": found.count(SlotStatus.VALID),
        "drives_of_other_keys": found.count(SlotStatus.WRONG_KEY),
    }


def _note(folder: DataFolder, disk: Disk, backup: Backup) -> None:
    """Remember in the data folder that a backup was made."""
    temporary = f"{folder.key_backup}.tmp"
    Path(temporary).unlink(missing_ok=True)
    _write_new(disk, temporary, msgspec.json.encode(backup) + b"\n")
    disk.rename(temporary, str(folder.key_backup))
    disk.sync_dir(str(folder.root))


def _write_new(disk: Disk, path: str, data: bytes) -> None:
    file = disk.open(path, "create")
    try:
        file.pwritev([data], 0)
        file.sync()
    finally:
        file.close()
    disk.sync_dir(os.path.dirname(path) or ".")


def _read(disk: Disk, path: str) -> bytes:
    file = disk.open(path, "read")
    try:
        return file.pread(_MOST_BYTES, 0)
    finally:
        file.close()
