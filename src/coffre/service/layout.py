"""The data folder: what lies where, whose it is, and who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

MARKER = "coffre.format"
FORMAT = 1


class StartRefused(Exception):
    """A start that must not go on: one line that says what to do. Nothing was changed."""


@dataclass(frozen=True)
class DataFolder:
    """Paths inside a data folder."""

    root: Path

    @property
    def catalog(self) -> Path:
        return self.root / "catalog.sqlite"

    @property
    def drives(self) -> Path:
        return self.root / "drives"

    @property
    def root_key(self) -> Path:
        return self.root / "root.key"

    @property
    def key_backup(self) -> Path:
        """When the root keys were last backed up (`service.keys`)."""
        return self.root / "key-backup.json"

    @property
    def socket(self) -> Path:
        """Where the CLI speaks to a running node."""
        return self.root / "coffre.sock"

    @property
    def link(self) -> Path:
        """Where workers and stewards send mutations."""
        return self.root / "committer.sock"

    @property
    def steward_socket(self) -> Path:
        """Where the committer's process asks the stewards."""
        return self.root / "steward.sock"

    @property
    def audit_socket(self) -> Path:
        """Where the audit's trail is searched (`service.audit_process`)."""
        return self.root / "audit.sock"

    @property
    def follower_socket(self) -> Path:
        """Where the follower is asked how it stands."""
        return self.root / "follower.sock"

    @property
    def local(self) -> Path:
        """What is remembered outside of the log (`service.local`)."""
        return self.root / "local.db"

    @property
    def console(self) -> Path:
        """What the console remembers: sessions, activities (`service.console_memory`)."""
        return self.root / "console.db"

    @property
    def notices(self) -> Path:
        """Where workers tell the stewards of what they could not read (`service.notices`)."""
        return self.root / "notices.sock"

    @property
    def making(self) -> Path:
        """Stands while an initialization is not over."""
        return self.root / "making"

    @property
    def generation(self) -> Path:
        """Shared memory of a running node (`catalog.generation`)."""
        return self.root / "generation"

    @property
    def readers(self) -> Path:
        """Shared memory of a running node (`service.readers`)."""
        return self.root / "readers"

    @property
    def caps(self) -> Path:
        """Shared memory of a running node (`service.caps`)."""
        return self.root / "caps"

    @property
    def metrics(self) -> Path:
        """What the processes of a running node count (`service.observing`)."""
        return self.root / "metrics"

    @property
    def availability(self) -> Path:
        """Minute by minute, how the node served (`service.observing.availability`)."""
        return self.root / "availability.db"

    @property
    def tls(self) -> Path:
        """The local authority's certificates (`service.tls`)."""
        return self.root / "tls"

    @property
    def places(self) -> Path:
        """Drives that were added and removed since the configuration (`service.drives`)."""
        return self.root / "drives.json"

    @property
    def board(self) -> Path:
        """How every drive is, as the committer of a running node sees it (`service.board`)."""
        return self.root / "drives.board"

    @property
    def marker(self) -> Path:
        return self.root / MARKER

    def state(self) -> str:
        """`new` (missing or empty), `ours`, or raises StartRefused for anything else."""
        try:
            return self._state()
        except PermissionError as error:
            raise StartRefused(
                f"{error.filename or self.root} may not be read by this user: "
                "run this as the user that serves it"
            ) from error

    def _state(self) -> str:
        if not self.root.exists():
            return "new"
        if not self.root.is_dir():
            raise StartRefused(f"{self.root} is not a folder: name another with --data")
        if self.marker.exists():
            self._check_format()
            return "ours"
        if self.root_key.exists() and not self.making.exists():
            return "ours"  # Drives and root key, brought to another machine: they are enough.
        names = [entry.name for entry in self.root.iterdir() if not _is_no_content(entry.name)]
        if names and not self._is_half_made(names):
            raise StartRefused(
                f"{self.root} holds files that are not Coffre's ({sorted(names)[0]}): "
                "name an empty folder with --data"
            )
        return "new"

    def _is_half_made(self, names: list[str]) -> bool:
        """An initialization that was cut: what it makes, but not the marker that comes last."""
        made = {"drives", "root.key", "generation", "making"}
        known = all(
            name in made or name.startswith(("catalog.sqlite", f"{MARKER}.")) for name in names
        )
        return known and "making" in names

    def _check_format(self) -> None:
        text = self.marker.read_text().strip()
        if not text.isdigit():
            raise StartRefused(f"{self.marker} is damaged: it must hold the number {FORMAT}")
        if int(text) > FORMAT:
            raise StartRefused(
                f"{self.root} has format {text}, newer than this Coffre's {FORMAT}: "
                "start it with the version that wrote it, or a newer one"
            )


def _is_no_content(name: str) -> bool:
    """A configuration laid ready, or a lock of a start that was cut before it wrote anything."""
    return name == "coffre.toml" or name.endswith(".lock")


class FolderLock:
    """An exclusive claim on a data folder that ends with its process, however that ends."""

    def __init__(self, folder: DataFolder, name: str, *, patience_s: float = 0.0) -> None:
        """Raises StartRefused when another process holds it for longer than `patience_s`.

        The patience is for a node whose supervisor was killed: its processes need a moment to end.
        """
        path = folder.root / f"{name}.lock"
        try:
            folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartRefused(
                f"{path} cannot be opened ({error.strerror}): "
                "the data folder belongs to the user that serves it, on a disk that can be written"
            ) from error
        give_up = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    os.close(self._fd)
                    raise StartRefused(
                        f"{folder.root} is in use by another Coffre: stop it first"
                    ) from None
                time.sleep(0.02)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
