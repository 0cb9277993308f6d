"""A data folder that this user cannot use is refused in words."""

from __future__ import annotations

from errno import EACCES
from pathlib import Path

import pytest

from coffre.service.layout import DataFolder, FolderLock, StartRefused


def test_a_lock_that_cannot_be_opened_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "node.lock").mkdir()
    with pytest.raises(StartRefused, match="lock cannot be opened"):
        FolderLock(DataFolder(tmp_path), "node")


def test_a_folder_of_another_user_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(StartRefused, match="may not be read by this user"):
        DataFolder(tmp_path).state()
