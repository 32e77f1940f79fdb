"""A real S3 server on this machine, in a process of its own: `moto_server`; or the object store that is named.

``OBJECT_STORE=az://maps pytest tests/sweeps/test_object_store.py`` takes an empty container that is there, by the
variables of the environment with which obstore finds it (docs/scale.md).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BUCKET = "maps"
GIVEN = os.environ.get("OBJECT_STORE")
AT = GIVEN or f"s3://{BUCKET}"
ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "az": "AZURE_STORAGE_ENDPOINT"}
"""Variables that name the server."""
# Nobody checks the signature.
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


def scheme() -> str:
    """Of the addresses."""
    return AT.partition(":")[0]


def environment(port: int) -> dict[str, str]:
    """Variables with which obstore finds the server."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }


def free_port() -> int:
    """A port that nothing listens to."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start the server with one empty bucket, and give the environment that leads to it."""
    if GIVEN:
        yield {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "AZURE_", "NO_PROXY"))}
        return
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("moto_server", path=folders)
    if program is None:
        pytest.fail("there is no moto_server: pip install -e '.[test]'")
    port = free_port()
    server = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        made = urllib.request.Request(
            f"http://127.0.0.1:{port}/{BUCKET}", method="PUT", headers={"Authorization": _SIGNED}
        )
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(600):
            try:
                without_proxy.open(made, timeout=60).close()
                break
            except OSError:
                assert server.poll() is None, "moto_server ended"
                time.sleep(0.1)
        yield environment(port)
    finally:
        server.kill()
        server.wait()
