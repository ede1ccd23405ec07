"""A Kubernetes volume of a ConfigMap or Secret, exchanged as the kubelet does it."""

import os
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path


class Mount:
    """A mounted volume: `folder` holds links through `..data` to the folder of the present
    generation.
    """

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        self._numbers = count()
        folder.mkdir(parents=True, exist_ok=True)
        self.exchange(files)

    def exchange(self, files: Mapping[str, str]) -> None:
        """Replace the files in the kubelet's order.

        A new folder, one rename, links for new names, links of old names removed, the old folder
        removed.
        """
        new = self.folder / f"..2026_{next(self._numbers)}"
        new.mkdir()
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text)
        old = self._present()
        self._rename_to(new)
        heads = {name.split("/")[0] for name in files}
        for name in heads:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for entry in self.folder.iterdir():
            if not entry.name.startswith("..") and entry.name not in heads:
                entry.unlink()
        if old is not None:
            shutil.rmtree(old)

    def _present(self) -> Path | None:
        link = self.folder / "..data"
        return self.folder / link.readlink() if link.is_symlink() else None

    def _rename_to(self, new: Path) -> None:
        coming = self.folder / "..data_tmp"
        coming.symlink_to(new.name)
        os.replace(coming, self.folder / "..data")  # noqa: PTH105  # of a link, not of its target
