"""The routes of the Hub that its Python client uses for models and data sets.

Left out: Xet, multipart uploads, pull requests, tags, pages of long lists, .gitignore, rate limits.
Contents of LFS objects come from the resolve route itself rather than through a redirect to a storage server.
"""

import base64
import json
import re
import socket
from pathlib import Path
from urllib.parse import parse_qs

from tests.hub.connection import BLOCK, Connection, Request
from tests.hub.store import Commit, File, HubError

LFS_SUFFIXES = {".arrow", ".bin", ".h5", ".npy", ".parquet", ".pt", ".safetensors", ".tar", ".zip"}
LFS_SIZE = 10 << 20  # larger files are LFS objects, whatever their names


class Routes(Connection):
    """An answer a method; the names and paths that they take come unquoted from the request's path."""

    # the user

    def whoami(self):
        self.need_token()
        token = {"role": "write", "displayName": "tests"}
        user = {"type": "user", "name": self.server.user, "fullname": self.server.user, "orgs": []}
        self.send_json({**user, "auth": {"type": "access_token", "accessToken": token}})

    def validate_yaml(self):
        self.text()
        self.send_json({"errors": [], "warnings": []})

    # repositories

    def create_repo(self):
        self.need_token()
        asked, (kind, name) = self._named_in_body()
        if name.split("/")[0] != self.server.user:
            raise HubError(403, "", f"You don't have the rights to create a {kind} under this namespace: {name}")
        with self.server.store.lock:
            old = self.server.store.repositories.get((kind, name))
            private = asked.get("visibility") == "private" or asked.get("private") is True
            repository = old or self.server.store.create(kind, name, private)
        answer = {"url": f"{self.server.url}/{repository.path}", "name": name, "id": name}
        if old:
            self.send_json({"error": "You already created this repo", **answer}, 409)
        else:
            self.send_json(answer)

    def delete_repo(self):
        _, (kind, name) = self._named_in_body()
        with self.server.store.lock:
            self.repository(kind, name, write=True)
            del self.server.store.repositories[kind, name]
        self.send_json({})

    def _named_in_body(self) -> tuple[dict, tuple[str, str]]:
        asked = json.loads(self.text())
        return asked, (asked.get("type") or "model", f"{asked.get('organization') or self.server.user}/{asked['name']}")

    def create_branch(self, kind, name, branch):
        asked = json.loads(self.text() or "{}")
        with self.server.store.lock:
            repository = self.repository(kind, name, write=True)
            if branch in repository.branches:
                raise HubError(409, "", f"Reference already exists: refs/heads/{branch}")
            repository.branches[branch] = repository.find(asked.get("startingPoint") or "main")
        self.send_json({})

    def repo_info(self, kind, name, revision=""):
        repository = self.repository(kind, name)
        commit = repository.find(revision or "main")
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        if self.asked_for("blobs"):
            for sibling in siblings:
                entry = file_entry(sibling["rfilename"], commit.files[sibling["rfilename"]])
                sibling |= {"size": entry["size"], "blobId": entry["oid"]}
                sibling |= {"lfs": {**entry["lfs"], "sha256": entry["lfs"]["oid"]}} if "lfs" in entry else {}
        info = {"_id": commit.oid[:24], "id": name, "author": name.split("/")[0], "sha": commit.oid, "tags": []}
        info |= {
            "private": repository.private,
            "gated": repository.gated and "manual",
            "disabled": False,
            "downloads": 0,
            "likes": 0,
        }
        info |= {"lastModified": commit.date, "createdAt": list(commit.history())[-1].date, "siblings": siblings}
        self.send_json(info)

    def refs(self, kind, name):
        branches = self.repository(kind, name).branches.items()
        refs = [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": commit.oid} for b, commit in branches]
        self.send_json({"branches": refs, "tags": [], "converts": [], "pullRequests": []})

    def commits(self, kind, name, revision):
        author = {"user": self.server.user}
        self.send_json(
            [
                {"id": c.oid, "title": c.title, "message": c.message, "date": c.date, "authors": [author]}
                for c in self.repository(kind, name).find(revision).history()
            ]
        )

    def tree(self, kind, name, revision, folder=""):
        commit = self.repository(kind, name).find(revision)
        folder = folder.strip("/")
        below = [(path, path[len(folder) :].strip("/").split("/")) for path in commit.below(folder)]
        if folder and not below:
            raise HubError(404, "EntryNotFound", f'"{folder}" does not exist on "{revision}"')
        deep = self.asked_for("recursive")
        paths = {path for path, parts in below if deep or len(parts) == 1}
        for _, parts in below:
            folders = range(1, len(parts) if deep else min(2, len(parts)))
            paths |= {"/".join([*([folder] if folder else []), *parts[:i]]) for i in folders}
        self.send_json(self._entries(commit, sorted(paths)))

    def paths_info(self, kind, name, revision):
        commit = self.repository(kind, name).find(revision)
        text = self.text()
        if text.startswith("{"):
            asked = json.loads(text)
        else:
            asked = parse_qs(text)
            self.query |= {"expand": asked.get("expand", [])}
        paths = [path.strip("/") for path in asked.get("paths", [])]
        self.send_json(self._entries(commit, [p for p in paths if p in commit.files or commit.below(p)]))

    def _entries(self, commit: Commit, paths: list[str]) -> list[dict]:
        entries = [file_entry(p, commit.files[p]) if p in commit.files else folder_entry(p, commit) for p in paths]
        if self.asked_for("expand"):
            for entry in entries:
                last = commit.last_change(entry["path"])
                entry["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
        return entries

    # uploads

    def preupload(self, kind, name, revision):
        files = self.repository(kind, name, write=True).find(revision).files
        answer = []
        for file in json.loads(self.text())["files"]:
            lfs = file["size"] > LFS_SIZE or Path(file["path"]).suffix in LFS_SUFFIXES
            old = files[file["path"]].etag if file["path"] in files else None
            mode = "lfs" if lfs else "regular"
            answer.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": old})
        self.send_json({"files": answer})

    def lfs_batch(self, datasets, name):
        self.repository("dataset" if datasets else "model", name, write=True)
        objects = []
        for asked in json.loads(self.text())["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if not self.server.store.lfs_path(asked["oid"]).exists():
                # as on the Hub, the URL itself gives the right to upload: the client sends no token with it
                href = f"{self.server.url}/lfs/{asked['oid']}?key={self.server.upload_key}"
                entry["actions"] = {"upload": {"href": href}}
            objects.append(entry)
        self.send_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, sha256):
        if self.query.get("key") != [self.server.upload_key]:
            raise HubError(403, "", "this URL was not made by the LFS batch route")
        fault = self.server.next_put_fault()
        if fault == "cut":
            next(self.body, None)
            self.server.log.append(Request(self.command, self.route, 0))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault:
            raise HubError(int(fault), "", "the test let this upload fail")
        self.server.store.add_lfs(sha256, self.body)
        self.send_json({})

    def commit(self, kind, name, branch):
        if self.asked_for("create_pr"):
            raise HubError(501, "", "the local Hub has no pull requests")
        lines = [json.loads(line) for line in self.text().splitlines() if line.strip()]
        with self.server.store.lock:
            repository = self.repository(kind, name, write=True)
            parent = repository.branches.get(branch)
            if parent is None:
                raise HubError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
            files, header = dict(parent.files), {}
            for line in lines:
                if line["key"] == "header":
                    header = line["value"]
                    if header.get("parentCommit", parent.oid) != parent.oid:
                        raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
                else:
                    self._change(files, line["key"], line["value"])
            commit = repository.commit(branch, files, header.get("summary", ""), header.get("description", ""))
        url = f"{self.server.url}/{repository.path}/commit/{commit.oid}"
        self.send_json({"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""})

    def _change(self, files: dict[str, File], key: str, value: dict) -> None:
        """Apply one line of a commit to the files."""
        path = value["path"].rstrip("/")
        if key == "file":
            files[path] = self.server.store.add_blob(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            files[path] = self.server.store.lfs_file(value["oid"])
        elif key in ("deletedFile", "deletedFolder"):
            gone = [p for p in files if p == path or (key == "deletedFolder" and p.startswith(f"{path}/"))]
            if not gone:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
            for name in gone:
                del files[name]
        else:
            raise HubError(400, "", f"the local Hub does not know commit lines of the key {key!r}")

    # downloads

    def resolve(self, datasets, name, revision, path):
        repository = self.repository("dataset" if datasets else "model", name)
        if repository.gated and not self.signed_in:
            raise HubError(401, "GatedRepo", f"Access to model {name} is restricted. Please log in.")
        commit = repository.find(revision)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        file = commit.files.get(path)
        if file is None:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return self.send_json({"error": "Entry not found"}, 404, headers)
        headers |= {"ETag": f'"{file.etag}"', "Content-Type": "application/octet-stream"}
        begin, end = 0, file.size
        if asked := self.headers.get("Range"):
            begin, end = byte_range(asked, file.size)
            if begin >= end:
                return self.send_head(416, {**headers, "Content-Range": f"bytes */{file.size}"}, 0)
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
        self.send_head(206 if asked else 200, headers, end - begin)
        if self.command == "GET":
            with file.content.open("rb") as content:
                content.seek(begin)
                for left in range(end - begin, 0, -BLOCK):
                    self.wfile.write(content.read(min(BLOCK, left)))


def byte_range(header: str, size: int) -> tuple[int, int]:
    """Return begin and end, which is not part of it, of a Range header's bytes; begin >= end if there are none."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if not match or match.group() == "bytes=-":
        raise HubError(400, "", f"the local Hub does not know the Range {header!r}")
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def file_entry(path: str, file: File) -> dict:
    """Describe a file as the tree and paths-info routes do."""
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    entry = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    return {**entry, "lfs": lfs} if file.sha256 else entry


def folder_entry(path: str, commit: Commit) -> dict:
    """Describe a folder as the tree and paths-info routes do."""
    return {"type": "directory", "path": path, "size": 0, "oid": commit.oid}


NAME, ONE = "([^/]+/[^/]+)", "([^/]+)"  # a revision is one segment: the client quotes its slashes
API = f"/api/(model|dataset)s/{NAME}"
Routes.routes = [
    ("GET", "/api/whoami-v2", Routes.whoami),
    ("POST", "/api/validate-yaml", Routes.validate_yaml),
    ("POST", "/api/repos/create", Routes.create_repo),
    ("DELETE", "/api/repos/delete", Routes.delete_repo),
    ("GET", API, Routes.repo_info),
    ("GET", f"{API}/revision/{ONE}", Routes.repo_info),
    ("GET", f"{API}/refs", Routes.refs),
    ("GET", f"{API}/commits/{ONE}", Routes.commits),
    ("GET", f"{API}/tree/{ONE}/?(.*)", Routes.tree),
    ("POST", f"{API}/paths-info/{ONE}", Routes.paths_info),
    ("POST", f"{API}/branch/{ONE}", Routes.create_branch),
    ("POST", f"{API}/preupload/{ONE}", Routes.preupload),
    ("POST", f"{API}/commit/{ONE}", Routes.commit),
    ("POST", rf"/(datasets/)?{NAME}\.git/info/lfs/objects/batch", Routes.lfs_batch),
    ("PUT", "/lfs/([0-9a-f]{64})", Routes.lfs_put),
    ("GET HEAD", f"/(datasets/)?{NAME}/resolve/{ONE}/(.+)", Routes.resolve),
]
