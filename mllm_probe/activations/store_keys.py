"""Keys of a Zarr store as bytes: read, written, listed and deleted through Zarr, wherever the store lies."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable, Iterator, Sequence

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

_AT_ONCE = 64
"""Keys that are read at the same time: what they hold is in memory together."""


def read_key(store: Store, key: str) -> bytes | None:
    """Content of a key, None where there is none."""
    return read_keys(store, [key])[0]


def read_keys(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    """Contents of keys, None for those that are not there; many at once, as each may be far away."""
    return list(each_key(store, keys))


def each_key(store: Store, keys: Sequence[str]) -> Iterator[bytes | None]:
    """Contents of keys, one after another; some are read ahead."""

    async def read(key: str) -> bytes | None:
        buffer = await store.get(key, default_buffer_prototype())
        return None if buffer is None else buffer.to_bytes()

    async def together(some: Sequence[str]) -> list[bytes | None]:
        return list(await asyncio.gather(*map(read, some)))

    irregular = set(irregular_keys(store, keys))
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        contents = iter(sync(together([key for key in some if key not in irregular])))
        yield from (None if key in irregular else next(contents) for key in some)


def write_new_key(store: Store, key: str, content: bytes) -> None:
    """Write a key as a whole, unless it is there."""

    async def write() -> None:
        await store.set_if_not_exists(key, default_buffer_prototype().buffer.from_bytes(content))

    sync(write())


def write_key(store: Store, key: str, content: bytes) -> None:
    """Write a key as a whole, in place of one that is there."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))


def delete_key(store: Store, key: str) -> None:
    """Delete a key, if it is there."""

    async def delete() -> None:
        await store.delete(key)

    sync(delete())


def names_below(store: Store, prefix: str) -> list[str]:
    """Names directly below a prefix, from one listing."""

    async def names() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    return sync(names())


def every_key(store: Store) -> list[str]:
    """All keys, in order."""

    async def keys() -> list[str]:
        return [key async for key in store.list()]

    return sorted(sync(keys()))


def missing_keys(store: Store, keys: Sequence[str]) -> list[str]:
    """Those of the keys that are not there."""

    async def there() -> list[bool]:
        return list(await asyncio.gather(*(store.exists(key) for key in keys)))

    return [key for key, known in zip(keys, sync(there()), strict=True) if not known]


def irregular_keys(store: Store, keys: Iterable[str]) -> list[str]:
    """Those of the keys that are no regular files of a local disk: a named pipe would be waited for without end."""
    if not isinstance(store, LocalStore):
        return []
    return [key for key in keys if os.path.lexists(store.root / key) and not os.path.isfile(store.root / key)]


def key_sizes(store: Store, keys: Sequence[str]) -> list[int | None]:
    """Sizes in bytes, None for keys that are not there."""

    async def size(key: str) -> int | None:
        try:
            return await store.getsize(key)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):  # a link to nowhere, or to itself
                return None
            raise

    async def sizes() -> list[int | None]:
        return list(await asyncio.gather(*map(size, keys)))

    return sync(sizes())
