"""Where the files of a store are, in a folder or below an address; its keys as bytes, and the markers of its units."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore, ObjectStore

from mllm_probe.models.argument_checks import path_of, require_short_name
from mllm_probe.typing import JsonObject


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

    async def existing() -> list[bool]:
        return list(await asyncio.gather(*(store.exists(key) for key in keys)))

    return [key for key, known in zip(keys, sync(existing()), strict=True) if not known]


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


MARKERS, LAYOUT, ENDING = "unit_markers", "layout", ".json"
"""Group of the markers, the marker of the layout, and how their names end."""
_SEAL = "checksum"
_UNIT = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


def marker_key(name: str) -> str:
    """Key of a unit's marker."""
    return f"{MARKERS}/{name}{ENDING}"


def require_names(names: Sequence[str]) -> None:
    """Raise a ValueError unless units have plain names, each once."""
    wrong = [name for name in names if not _UNIT.fullmatch(name) or name == LAYOUT]
    if wrong or len(set(names)) < len(names) or not names:
        raise ValueError(
            "units: expected at least one name, each once, of letters, digits, '_', '-' and '.'; got "
            f"{wrong[0] if wrong else sorted(names)!r}."
        )


def checksum(content: bytes) -> JsonObject:
    """Size and hash of what was stored under a key."""
    return {"bytes": len(content), "blake2b": hashlib.blake2b(content, digest_size=8).hexdigest()}


def sealed(content: JsonObject) -> bytes:
    """A marker's text, with a checksum of itself."""
    return json.dumps(content | {_SEAL: _seal_of(content)}, indent=1).encode()


def unsealed(text: bytes) -> JsonObject:
    """Content of a marker; a ValueError if it is not as it was written, or names what is outside its store."""
    try:
        content = json.loads(text)
        seal = content.pop(_SEAL)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError("it was cut short or changed") from error
    if seal != _seal_of(content):
        raise ValueError("it was changed")
    if not _names_chunks(content.get("chunks")):
        raise ValueError("it does not name chunks of its store")
    return dict(content)


def _names_chunks(chunks: object) -> bool:
    """Whether these are chunks below the folder of a store, with a size and hash each."""
    return isinstance(chunks, dict) and all(
        not key.startswith("/")
        and ".." not in key.split("/")
        and isinstance(noted, dict)
        and isinstance(noted.get("bytes"), int)
        for key, noted in chunks.items()
    )


def _seal_of(content: JsonObject) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()


SCHEMES = ("s3", "gs", "az")
"""Schemes of addresses of object stores."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+([^/]*)(.*)", re.DOTALL)
_PACKED = f"{MARKERS}/{LAYOUT}.packed"
"""Key of an object store: all files of a layout in one, which a single process can create."""
RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
"""How often, and how long, a request to an object store is made again."""
_FLUSHED_AT_ONCE = 16


class Place(ABC):
    """Where the files of a store are: read, written, listed and deleted through Zarr.

    `path`: as it was given: a folder, or an address. `shared`: whether every machine finds it under the same address.
    """

    path: Path | str
    shared: bool

    def __str__(self) -> str:
        return str(self.path)

    @property
    @abstractmethod
    def address(self) -> str:
        """Where another process finds it."""

    @abstractmethod
    def open(self, *, read_only: bool) -> Store:
        """Zarr's store of it."""

    @abstractmethod
    def is_free(self) -> bool:
        """Whether it is unused: nothing is there, or an empty folder."""

    @abstractmethod
    def create(self, write: Callable[[Store], None]) -> None:
        """Have a layout written, whole or not at all; one that another process has written meanwhile stays."""

    @abstractmethod
    def complete(self) -> None:
        """Finish a layout whose process died while it wrote it; nothing to do where it is there or was not begun."""

    @abstractmethod
    def flush(self, keys: Sequence[str]) -> None:
        """Have keys survive a power cut before anything that is written later."""

    @abstractmethod
    def metadata(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents of the files with these names, at the root and in the groups directly below it, by their keys.

        Raises ValueError if one is no file that can be read.
        """

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Content of a file; None where there is none."""

    @abstractmethod
    def errors(self) -> AbstractContextManager[None]:
        """Name the store, and what to do, in an error of writing to it."""


def place_of(path: object) -> Place:
    """Where a store is, from what a user gave.

    `path`: a folder, or an address such as ``"s3://bucket/map.zarr"``. Raises TypeError if it is neither text nor a
    path. Raises ValueError if it is an address of a kind that is not known, or names nothing in its bucket. Raises
    ImportError if it is an address, and the extra ``object`` is not installed.
    """
    if is_address(path):
        return Bucket(str(path))
    return Folder(as_folder(path))


def is_address(path: object) -> bool:
    """Whether something is the address of an object store, such as ``"s3://bucket/map.zarr"``."""
    return isinstance(path, str) and (match := _ADDRESS.fullmatch(path)) is not None and match[1].lower() in SCHEMES


def as_folder(path: object) -> Path:
    """``path`` as a Path.

    Raises TypeError if it is neither text nor a path. Raises ValueError if it is an address: as a path it would be a
    folder of a strange name. If it holds a NUL character or is too long.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"expected the path of a Zarr store as text or a pathlib.Path, not {type(path).__name__}.")
    match = _ADDRESS.fullmatch(str(path))
    scheme = "" if match is None else match[1].lower()
    if match is None or (scheme not in SCHEMES if isinstance(path, Path) else "://" not in path):
        folder = path_of("the path of a Zarr store", path)
        require_short_name("the path of a Zarr store", folder)
        return folder
    if isinstance(path, Path):
        raise ValueError(f"{path}: a Path cannot hold an address; give it as text, '{scheme}://{match[2]}{match[3]}'.")
    if scheme in SCHEMES:
        raise ValueError(
            f"{path} is in an object store, where a sweep, patch or capture with store= can be, and nothing else: give "
            "a folder of this machine here."
        )
    known = ", ".join(f"{name}://" for name in SCHEMES)
    raise ValueError(f"{path}: expected a folder, or an address that begins with {known}; got {scheme}://.")


def partial_beside(target: Path) -> Path:
    """Unused hidden path in the folder of ``target``, to write to before it is renamed."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")


class Folder(Place):
    """A folder of this machine, or of a file system that several share."""

    shared = False

    def __init__(self, path: Path) -> None:
        self.path: Path = path

    @property
    def address(self) -> str:
        """Absolute path."""
        return str(self.path.resolve())

    def open(self, *, read_only: bool) -> Store:
        """Zarr's store of the folder."""
        return LocalStore(self.path, read_only=read_only)

    def is_free(self) -> bool:
        """Whether nothing is there, or an empty folder."""
        return not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir()))

    def create(self, write: Callable[[Store], None]) -> None:
        """Have a layout written beside the folder, which it becomes in one step."""
        target = self.path
        if target.is_symlink():  # nothing is renamed onto a link
            with contextlib.suppress(OSError, RuntimeError):  # a link to itself cannot be written, which is said below
                target = target.resolve()
        partial = Folder(partial_beside(target))
        try:
            with self.errors():
                target.parent.mkdir(parents=True, exist_ok=True)
                store = partial.open(read_only=False)
                write(store)
                partial.flush(every_key(store))
                with contextlib.suppress(OSError):  # some systems rename onto an empty folder, others do not
                    target.rmdir()
                try:
                    partial.path.rename(target)
                # Renaming onto a folder with content fails: the first process to rename has made the layout.
                except OSError:
                    if self.is_free():
                        raise  # else another process was first
        finally:
            shutil.rmtree(partial.path, ignore_errors=True)

    def complete(self) -> None:
        """Nothing to do: a folder is renamed when its layout is whole."""

    def flush(self, keys: Sequence[str]) -> None:
        """Have the disk hold the files of keys."""
        with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:  # together: a disk does them at once
            list(pool.map(_flush, [self.path / key for key in keys]))

    def metadata(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents of files with these names, at two levels; links are followed, as Zarr does."""
        files = [file for level in ("", "*/") for name in names for file in self.path.glob(f"{level}{name}")]
        return {file.relative_to(self.path).as_posix(): _regular(file) for file in files}

    def read(self, key: str) -> bytes | None:
        """Content of a file; None where there is none."""
        file = self.path / key
        return _regular(file) if file.is_file() else None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Name the store, and what to do, in an error of the disk."""
        try:
            yield
        except OSError as error:
            raise type(error)(
                error.errno,
                f"the store {self.path} could not be written ({error.strerror or error}). What is finished stays: make "
                "room, or give the right to write, and run the same call again",
            ) from error


class Bucket(Place):
    """Objects below an address of an object store: S3 and stores with its protocol, Google's and Azure's.

    Endpoint, region and credentials come from the environment, as the library ``obstore`` reads them.

    Raises ImportError without the extra ``object``. Raises ValueError if it names no bucket or nothing in it, or its
    settings are not in the environment.
    """

    shared = True

    def __init__(self, address: str) -> None:
        match = _ADDRESS.fullmatch(address)
        assert match is not None
        scheme, bucket, key = match[1].lower(), match[2], match[3].strip("/")
        if not bucket or not key or not address[len(scheme) :].startswith("://"):
            raise ValueError(f"{address}: expected {scheme}://BUCKET/NAME, such as {scheme}://maps/cats.zarr.")
        self.path: str = f"{scheme}://{bucket}/{key}"
        self._objects = _objects_at(self.path)

    @property
    def address(self) -> str:
        """The address itself."""
        return self.path

    def open(self, *, read_only: bool) -> Store:
        """Zarr's store of the address."""
        return self._objects.with_read_only(read_only)

    def is_free(self) -> bool:
        """Whether no object lies below the address."""
        return not names_below(self._objects, "")

    def create(self, write: Callable[[Store], None]) -> None:
        """Have a layout written in memory, and create it as one object, which one process alone can; then its files.

        There is no renaming of many objects. Whoever finds the one object and not all of its files writes them, the
        same ones as everybody else.
        """
        memory = MemoryStore()
        write(memory)
        keys = every_key(memory)
        packed = {
            key: base64.b64encode(content or b"").decode()
            for key, content in zip(keys, read_keys(memory, keys), strict=True)
        }
        with self.errors():
            write_new_key(self._objects, _PACKED, json.dumps(packed).encode())
            self.complete()

    def complete(self) -> None:
        """Write what is missing of the files of a layout that was created."""
        if read_key(self._objects, marker_key(LAYOUT)) is not None:
            return
        content = read_key(self._objects, _PACKED)
        if content is None:
            return
        packed: dict[str, str] = json.loads(content)
        with self.errors():
            for key in sorted(packed, key=marker_key(LAYOUT).__eq__):  # its marker last
                write_new_key(self._objects, key, base64.b64decode(packed[key]))

    def flush(self, keys: Sequence[str]) -> None:
        """Nothing to do: an object that was taken is kept."""

    def metadata(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents of files with these names, at two levels."""
        below = [name for name in names_below(self._objects, "") if name not in names]
        keys = [*names, *(f"{folder}/{name}" for folder in below for name in names)]
        contents = zip(keys, read_keys(self._objects, keys), strict=True)
        return {key: content for key, content in contents if content is not None}

    def read(self, key: str) -> bytes | None:
        """Content of an object; None where there is none."""
        return read_key(self._objects, key)

    def errors(self) -> AbstractContextManager[None]:
        """Nothing to do: errors of the network say what is needed."""
        return contextlib.nullcontext()


def read_object(address: str) -> bytes | None:
    """Content of one object, which is no store; None where there is none."""
    folder, _, name = address.rpartition("/")
    return read_key(_objects_at(folder), name)


def write_object(address: str, content: bytes) -> None:
    """Write one object, in place of one that is there."""
    folder, _, name = address.rpartition("/")
    write_key(_objects_at(folder), name, content)


def _objects_at(address: str) -> Objects:
    require_obstore(address)
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return Objects(from_url(address, retry_config=RETRIES))
    except (BaseError, ValueError) as error:
        raise ValueError(
            f"{address}: {str(error).splitlines()[0]}. Endpoint, account and credentials come from the environment "
            "(AWS_…, GOOGLE_…, AZURE_STORAGE_…)."
        ) from error


def _regular(file: Path) -> bytes:
    """Content of a file that is no pipe or device, which would be waited for without end."""
    if not file.is_file():
        raise ValueError(f"{file}: not a regular file")
    return file.read_bytes()


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
