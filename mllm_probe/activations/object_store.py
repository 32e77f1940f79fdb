"""Zarr's store of objects, with errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore


def require_obstore(address: str) -> None:
    """Raise an ImportError that says how to get what reads and writes object stores."""
    try:
        import obstore  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{address} is in an object store: pip install 'mllm-probe[object]'.") from error


class Objects(ObjectStore[Any]):
    """Zarr's store over the library ``obstore``; what the network refuses is a ConnectionError."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Content of a key, None where there is none."""
        with self._named():
            return await super().get(key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether a key is there."""
        with self._named():
            return await super().exists(key)

    async def getsize(self, key: str) -> int:
        """Bytes of a key."""
        with self._named(FileNotFoundError):
            return await super().getsize(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key."""
        with self._named():
            await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a key, unless it is there; one process alone can."""
        with self._named():
            await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Delete a key."""
        with self._named():
            await super().delete(key)

    def list(self) -> AsyncGenerator[str, None]:
        """All keys."""
        return self._each(super().list())

    def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Names directly below a prefix."""
        return self._each(super().list_dir(prefix))

    async def _each(self, names: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        with self._named():
            async for name in names:
                yield name

    @contextmanager
    def _named(self, *meant: type[Exception]) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except meant:
            raise
        except (BaseError, FileNotFoundError) as error:  # the latter where a bucket to write to is not there
            raise ConnectionError(
                f"the object store does not do what was asked ({_first(error)}). Look at the bucket, the endpoint, the "
                "credentials and the rights in the environment, and run the same call again; what is finished stays."
            ) from error


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0]
