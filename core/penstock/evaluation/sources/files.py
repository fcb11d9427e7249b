"""Files here or on S3: one Parquet or CSV file, or a folder of Parquet files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.fs

from penstock.errors import InvalidValue, NotFound
from penstock.evaluation.sources import s3
from penstock.evaluation.sources.csv_files import read_csv
from penstock.evaluation.sources.parquet_files import read_parquet
from penstock.evaluation.sources.source import Rows, SourceFile

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz")
KINDS = PARQUET + CSV


class FileSource:
    """A path of a file or a folder, local or `s3://bucket/key`. `InvalidValue` for other places."""

    def __init__(self, path: str) -> None:
        if "://" in path and not path.startswith(s3.SCHEME):
            # The rest is not shown: it may hold a password.
            raise InvalidValue("data", path.split("://")[0] + "://…", f"a local path or {s3.SCHEME}bucket/key")
        if "\0" in path:
            raise InvalidValue("data", path, "a path without a NUL character")
        self.shown = path
        self._remote = path.startswith(s3.SCHEME)
        self._path = path.removeprefix(s3.SCHEME).rstrip("/") if self._remote else path

    @property
    def name(self) -> str:
        """The file's or folder's name without what says its kind."""
        last = PurePosixPath(self._path).name if self._remote else Path(self._path).name
        kind = next((kind for kind in KINDS if last.lower().endswith(kind)), "")
        return last[: len(last) - len(kind)] or self.shown

    def files(self) -> list[SourceFile]:
        """Return the file, or the folder's Parquet files by their names below it; `NotFound` if it is not there."""
        filesystem = self._filesystem()
        info = self._info(filesystem)
        if info.type == pyarrow.fs.FileType.Directory:
            return self._folder(filesystem, info.path)
        if not self._is(KINDS):
            raise InvalidValue("data", self.shown, f"a folder or a file ending in {', '.join(KINDS)}")
        return [SourceFile(filesystem, info.path, info.base_name, self.shown)]

    def read(self, rows: int) -> Rows:
        """Read the files one after the other."""
        files = self.files()
        if self._is(CSV) and files[0].shown == self.shown:
            return read_csv(files[0])
        return read_parquet(files, self.shown, rows)

    def _is(self, kinds: tuple[str, ...]) -> bool:
        return self._path.lower().endswith(kinds)

    def _filesystem(self) -> pyarrow.fs.FileSystem:
        if self._remote:
            bucket = self._path.split("/")[0]
            if not bucket or "@" in bucket:
                raise InvalidValue("data", "s3://…", f"{s3.SCHEME}bucket/key", "Credentials are no part of it")
            return s3.filesystem(bucket)
        return pyarrow.fs.LocalFileSystem()

    def _info(self, filesystem: pyarrow.fs.FileSystem) -> Any:
        with SourceFile(filesystem, self._path, "", self.shown).readable("a path that can be looked at"):
            info = filesystem.get_file_info(self._path)
        if info.type == pyarrow.fs.FileType.NotFound:
            relative = not self._remote and not Path(self._path).is_absolute()
            raise NotFound("data", self.shown, f"Relative paths start at {Path.cwd()}" if relative else "")
        return info

    def _folder(self, filesystem: pyarrow.fs.FileSystem, folder: str) -> list[SourceFile]:
        """Return the Parquet files in `folder` and below, by relative name.

        Names that begin with `.` or `_` are markers of the tool that wrote the folder. `InvalidValue` when there is no
        Parquet file, or a CSV file, whose rows would be missing.
        """
        with SourceFile(filesystem, folder, "", self.shown).readable("a readable folder"):
            found = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, recursive=True))
        named = {PurePosixPath(info.path).relative_to(folder): info for info in found if info.is_file}
        data = {path: info for path, info in named.items() if not any(part[0] in "._" for part in path.parts)}
        if others := sorted(path.name for path in data if path.name.lower().endswith(CSV)):
            raise InvalidValue("data", self.shown, "a folder of Parquet files only", f"It also holds {others[0]!r}")
        files = [
            SourceFile(filesystem, data[path].path, path.as_posix(), f"{self.shown.rstrip('/')}/{path}")
            for path in sorted(data, key=lambda path: path.as_posix())
            if path.name.lower().endswith(PARQUET)
        ]
        if not files:
            raise InvalidValue("data", self.shown, "a folder that holds Parquet files")
        return files
