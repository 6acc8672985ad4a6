"""What the tests of the local Hub ask of it."""

import urllib.error
import urllib.request
from pathlib import Path

from tests.hub.server import Hub

UPLOAD = """
    import sys, time
    from huggingface_hub import create_repo, upload_folder
    if "--hurry" in sys.argv:
        time.sleep = lambda seconds: None  # between the client's attempts
    folder, repo, kind, private = sys.argv[1:5]
    create_repo(repo, repo_type=kind, private=private == "True", exist_ok=True)
    upload_folder(folder_path=folder, repo_id=repo, repo_type=kind)
"""


def upload(hub: Hub, folder: Path, repo="tester/data", kind="dataset", private=False, *options) -> None:
    hub.run(UPLOAD, folder, repo, kind, private, *options)


def ask(hub: Hub, path: str, method="GET", token=None, body=None, **headers) -> tuple[int, dict, bytes]:
    """Send one request; return status, headers and body."""
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(hub.url + path, method=method, headers=headers, data=body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
