"""The local Hub, seen by the client of the real one, and by plain HTTP requests."""

import hashlib
import http.client
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.hub.client import ask, upload
from tests.hub.server import Hub
from tests.hub.store import Store


@pytest.fixture
def files(tmp_path) -> Path:
    """A folder of a text and of five LFS objects, one of them of several megabytes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "files"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/notes é.txt").write_text("small\n")
    for i, size in enumerate((10, 20, 30, 40, 3_500_000)):
        (folder / f"deep/part {i}.bin").write_bytes(rng.bytes(size))
    return folder


def test_writing_needs_the_token(hub, files):
    upload(hub, files)
    line = json.dumps({"key": "deletedFolder", "value": {"path": "deep"}}).encode()
    create = b'{"type": "model", "name": "new"}'
    for path, method, body in (
        ("/api/datasets/tester/data/commit/main", "POST", line),
        ("/api/datasets/tester/data/preupload/main", "POST", b'{"files": []}'),
        ("/api/datasets/tester/data/branch/new", "POST", b"{}"),
        ("/datasets/tester/data.git/info/lfs/objects/batch", "POST", b'{"objects": []}'),
        ("/api/repos/create", "POST", create),
        ("/api/repos/delete", "DELETE", b'{"type": "dataset", "name": "data"}'),
        ("/api/whoami-v2", "GET", None),
    ):
        assert ask(hub, path, method, body=body)[0] == 401, path
    assert ask(hub, f"/lfs/{'0' * 64}", "PUT", token=hub.token, body=b"x")[0] == 403  # not a URL of the batch route
    assert len(json.loads(ask(hub, "/api/datasets/tester/data/tree/main?recursive=true")[2])) == 8
    other = b'{"type": "model", "name": "new", "organization": "other"}'
    assert ask(hub, "/api/repos/create", "POST", token=hub.token, body=other)[0] == 403


@pytest.mark.parametrize("fault", ["503", "cut"])
def test_an_interrupted_upload_goes_on_where_it_was(hub, files, fault):
    hub.fail_put(3, fault, forever=True)
    with pytest.raises(RuntimeError, match=r"Error while uploading|disconnected|503"):
        upload(hub, files, "tester/data", "dataset", False, "--hurry")
    first = hub.requests("PUT", "/lfs/")
    done = {r.path for r in first if r.status == 200}
    assert len(done) == 2
    assert {r.status for r in first} == {200, 503 if fault == "503" else 0}
    tree = "/api/datasets/tester/data/tree/main?recursive=true"
    assert json.loads(ask(hub, tree)[2]) == []  # nothing was committed

    hub.mend()
    upload(hub, files)
    second = hub.requests("PUT", "/lfs/")[len(first) :]
    objects = {f"/lfs/{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files.rglob("*.bin")}
    assert sorted(r.path for r in second) == sorted(objects - done)
    got = {e["path"] for e in json.loads(ask(hub, tree)[2]) if e["type"] == "file"}
    assert got == {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}

    upload(hub, files)  # nothing is new
    assert len(hub.requests("PUT", "/lfs/")) == len(first) + len(second)
    assert len(hub.requests("POST", "/commit/main")) == 1


def test_one_failure_is_overcome_by_the_client(hub, files):
    hub.fail_put(2, "cut")
    upload(hub, files, "tester/data", "dataset", False, "--hurry")
    puts = hub.requests("PUT", "/lfs/")
    assert sorted(r.status for r in puts) == [0] + [200] * 5


def test_snapshot_download_and_deletions(hub, files):
    upload(hub, files, "tester/model", "model")
    code = """
        import sys
        from pathlib import Path
        from huggingface_hub import HfApi, snapshot_download
        api = HfApi()
        old = api.repo_info("tester/model").sha
        api.upload_folder(folder_path=sys.argv[1] + "/deep/er", repo_id="tester/model", delete_patterns="deep/*.bin")
        for revision in (old, "main"):
            folder = Path(snapshot_download("tester/model", revision=revision))
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    same = path.read_bytes() == (Path(sys.argv[1]) / path.relative_to(folder)).read_bytes() \
                        if revision == old else ""
                    print(path.relative_to(folder), same)
    """
    deep = [f"deep/part {i}.bin" for i in range(5)]
    want = [f"{path} True" for path in ["deep/er/notes é.txt", *deep]] + ["deep/er/notes é.txt ", "notes é.txt "]
    assert hub.run(code, files).splitlines() == want


def test_file_system_reads_ranges(hub, files):
    upload(hub, files)
    code = """
        import json, sys
        from huggingface_hub import HfFileSystem
        fs = HfFileSystem()
        root = "datasets/tester/data"
        size = fs.info(root + "/deep/part 4.bin")["size"]
        print(json.dumps([fs.ls(root, detail=False), sorted(fs.find(root)), size]))
        with fs.open(root + "/deep/part 4.bin", block_size=1 << 16) as file:
            file.seek(2_000_000)
            print(file.read(100).hex())
            file.seek(-50, 2)
            print(file.read().hex())
    """
    listing, *reads = hub.run(code).splitlines()
    root = "datasets/tester/data"
    names = sorted(f"{root}/{path.relative_to(files)}" for path in files.rglob("*") if path.is_file())
    assert json.loads(listing) == [[f"{root}/deep"], names, 3_500_000]
    content = (files / "deep/part 4.bin").read_bytes()
    assert [bytes.fromhex(read) for read in reads] == [content[2_000_000:2_000_100], content[-50:]]
    gets = hub.requests("GET", "/resolve/")
    assert gets and {r.status for r in gets} == {206}
    spans = [[int(n) for n in r.range.removeprefix("bytes=").split("-")] for r in gets]
    assert sum(end - begin + 1 for begin, end in spans) < 300_000


def test_resolve_route(hub, files):
    upload(hub, files)
    content = (files / "deep/part 4.bin").read_bytes()
    size = len(content)
    path = "/datasets/tester/data/resolve/main/deep/part%204.bin"
    status, headers, body = ask(hub, path)
    sha = json.loads(ask(hub, "/api/datasets/tester/data")[2])["sha"]
    assert (status, body, headers["X-Repo-Commit"]) == (200, content, sha)
    assert headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    status, head, body = ask(hub, path, "HEAD")
    assert (status, body, head["Content-Length"], head["ETag"]) == (200, b"", str(size), headers["ETag"])
    for asked, begin, end in (("5-5", 5, 6), ("1048570-2097160", 1048570, 2097161), (f"{size - 3}-", size - 3, size)):
        status, headers, body = ask(hub, path, Range=f"bytes={asked}")
        assert (status, body) == (206, content[begin:end])
        assert headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
    assert ask(hub, path, Range="bytes=-7")[2] == content[-7:]
    assert ask(hub, path, Range=f"bytes=10-{size + 9}")[2] == content[10:]
    status, headers, body = ask(hub, path, Range=f"bytes={size}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")
    text = ask(hub, f"/datasets/tester/data/resolve/{sha}/deep/er/notes%20%C3%A9.txt")
    assert text[2] == b"small\n"
    assert text[1]["ETag"] == '"ac790413e2d7a26c3767e78c57bb28716686eebc"'  # git hash-object
    for missing, code in (("main/none", "EntryNotFound"), ("other/deep/part%204.bin", "RevisionNotFound")):
        status, headers, _ = ask(hub, f"/datasets/tester/data/resolve/{missing}", "HEAD")
        assert (status, headers["X-Error-Code"]) == (404, code)


def test_repositories_branches_and_commits(hub):
    assert hub.run("""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError
        def status(call, *args, **kwargs):
            try:
                call(*args, **kwargs)
            except HfHubHTTPError as error:
                return f"{type(error).__name__} {error.response.status_code}"
        api, add = HfApi(), CommitOperationAdd
        repo = api.create_repo("model", private=True).repo_id
        print(repo, status(api.create_repo, repo), api.create_repo(repo, private=False, exist_ok=True).repo_id)
        print(api.repo_info(repo).private)
        one = api.create_commit(repo, [add("a/x.txt", b"1"), add("y.bin", b"22")], commit_message="one")
        print(status(api.create_commit, repo, [add("z", b"3")], commit_message="late", parent_commit="0" * 40))
        api.create_branch(repo, branch="feat/ure", revision=one.oid)
        api.create_commit(repo, [CommitOperationDelete("a/")], commit_message="two", revision="feat/ure")
        for revision in ("main", "feat/ure", one.oid):
            print(api.list_repo_files(repo, revision=revision))
        print([commit.title for commit in api.list_repo_commits(repo, revision="feat/ure")])
        print(sorted(branch.name for branch in api.list_repo_refs(repo).branches))
        last = {p.path: p.last_commit.title for p in api.get_paths_info(repo, ["a", "y.bin", "none"], expand=True)}
        print(last, [(s.rfilename, s.size) for s in api.repo_info(repo, files_metadata=True).siblings])
        print(status(api.delete_file, "none", repo), status(api.list_repo_files, repo, revision="none"))
        api.delete_repo(repo)
        print(status(api.repo_info, repo), api.repo_exists(repo), api.whoami()["name"])
    """).splitlines() == [
        "tester/model HfHubHTTPError 409 tester/model",
        "True",
        "HfHubHTTPError 412",
        "['a/x.txt', 'y.bin']",
        "['y.bin']",
        "['a/x.txt', 'y.bin']",
        "['two', 'one', 'initial commit']",
        "['feat/ure', 'main']",
        "{'a': 'one', 'y.bin': 'one'} [('a/x.txt', 1), ('y.bin', 2)]",
        "RemoteEntryNotFoundError 404 RevisionNotFoundError 404",
        "RepositoryNotFoundError 404 False tester",
    ]


def test_nothing_is_left_of_a_hub_that_stopped(files):
    threads = set(threading.enumerate())
    with Hub() as hub:
        upload(hub, files)
        idle = http.client.HTTPConnection(hub.url.removeprefix("http://"))
        idle.request("GET", "/api/whoami-v2")
        assert idle.getresponse().read()  # and the client never hangs up
    assert not hub.folder.exists()
    assert set(threading.enumerate()) <= threads
    assert idle.sock.recv(1) == b""
    idle.close()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(hub.url)


def test_a_failing_route_fails_the_test(monkeypatch):
    monkeypatch.setattr(Store, "create", lambda *args: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"), Hub() as hub, pytest.raises(OSError):
        ask(hub, "/api/repos/create", "POST", token=hub.token, body=b'{"name": "new"}')


def test_a_failing_client_says_why(hub):
    with pytest.raises(RuntimeError, match=r"(?s)ended with 1:\n.*ValueError: this is why") as error:
        hub.run("raise ValueError('this is why')")
    assert hub.token not in str(error.value)
