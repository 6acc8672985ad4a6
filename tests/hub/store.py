"""What the local Hub keeps: repositories with their commits, and the contents of files, on disk.

A file's content is kept once, under its hash, as the Hub does: its git blob's SHA-1, or the SHA-256 of an LFS object.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


class HubError(Exception):
    """A request that the Hub refuses: HTTP status, X-Error-Code (may be empty) and X-Error-Message."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class File:
    """A version of a file: its git blob's hash, size in bytes, content on disk and, if it is in LFS, its SHA-256."""

    oid: str
    size: int
    content: Path
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def etag(self) -> str:
        """The hash that tells whether the content changed."""
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    """A state of a repository: every file by its path. `parent` is None for the first."""

    oid: str
    parent: "Commit | None"
    title: str
    message: str
    date: str
    files: dict[str, File]

    def history(self) -> Iterator["Commit"]:
        """Yield this commit, then its parents, newest first."""
        commit = self
        while commit:
            yield commit
            commit = commit.parent

    def below(self, folder: str) -> dict[str, File]:
        """Return the files of a folder and of all below it, by path; of the whole repository for ""."""
        start = f"{folder}/" if folder else ""
        return {path: file for path, file in self.files.items() if path.startswith(start)}

    def last_change(self, path: str) -> "Commit":
        """Return the newest commit of the history that changed a file, or anything in a folder."""

        def state(commit):
            return commit.files.get(path), commit.below(path)

        return next(c for c in self.history() if c.parent is None or state(c) != state(c.parent))


class Repository:
    """A model or a data set: its branches, each a name for a commit."""

    def __init__(self, kind: str, name: str, private: bool):
        self.kind, self.name, self.private, self.gated = kind, name, private, False
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, Commit] = {}
        self.commit("main", {}, "initial commit")

    @property
    def path(self) -> str:
        """The repository's path under the Hub's URL."""
        return f"datasets/{self.name}" if self.kind == "dataset" else self.name

    def find(self, revision: str) -> Commit:
        """Return the commit that a branch or a hash names."""
        commit = self.branches.get(revision) or self.commits.get(revision)
        if commit is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def commit(self, branch: str, files: dict[str, File], title: str, message: str = "") -> Commit:
        """Add a commit on top of a branch."""
        parent = self.branches.get(branch)
        content = repr([parent and parent.oid, len(self.commits), title, sorted((p, f.oid) for p, f in files.items())])
        date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        commit = Commit(hashlib.sha1(content.encode()).hexdigest(), parent, title, message, date, files)
        self.commits[commit.oid] = self.branches[branch] = commit
        return commit


class Store:
    """All repositories and the contents of their files, in one folder.

    Parameters
    ----------
    folder
        Where contents are kept.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lock = threading.RLock()  # held by whoever changes a repository
        for name in ("blobs", "lfs"):
            (folder / name).mkdir(parents=True)

    def create(self, kind: str, name: str, private: bool) -> Repository:
        """Add an empty repository; the caller has checked that there is none."""
        self.repositories[kind, name] = repository = Repository(kind, name, private)
        return repository

    def add_blob(self, content: bytes) -> File:
        """Keep the content of a small file."""
        oid = blob_oid(content)
        path = self.folder / "blobs" / oid
        path.write_bytes(content)
        return File(oid, len(content), path)

    def add_lfs(self, sha256: str, blocks: Iterable[bytes]) -> None:
        """Keep an LFS object; one whose content does not have the hash that it goes by is refused."""
        path = self.lfs_path(sha256)
        part = path.with_suffix(f".{threading.get_ident()}")
        digest = hashlib.sha256()
        with part.open("wb") as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != sha256:
            part.unlink()
            raise HubError(400, "", f"LFS object {sha256}: the content has another SHA-256")
        part.replace(path)

    def lfs_path(self, sha256: str) -> Path:
        """Return where an LFS object is kept, whether it is there or not."""
        return self.folder / "lfs" / sha256

    def lfs_file(self, sha256: str) -> File:
        """Return the file version of an LFS object that has been uploaded."""
        path = self.lfs_path(sha256)
        if not path.exists():
            raise HubError(400, "", f"LFS pointer pointed to a file that does not exist: {sha256}")
        size = path.stat().st_size
        pointer = POINTER.format(sha256, size).encode()
        return File(blob_oid(pointer), size, path, sha256, len(pointer))


def blob_oid(content: bytes) -> str:
    """Return the hash that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
