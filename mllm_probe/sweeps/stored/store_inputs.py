"""What a stored sweep was begun with, so that any process can join it by its address, and units as Dask tasks."""

from __future__ import annotations

import io
import json
import os
import tempfile
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import xarray as xr

from mllm_probe.activations.device_array import dtype_name
from mllm_probe.activations.store_layout import FILES
from mllm_probe.activations.store_places import Place
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.concepts import Picture
from mllm_probe.metrics.metric import built_in
from mllm_probe.models.images import as_image, content_hash
from mllm_probe.models.inputs import Request
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps.grid import Samples
from mllm_probe.sweeps.job import SweepJob
from mllm_probe.sweeps.settings import Settings
from mllm_probe.sweeps.stored.units import Named
from mllm_probe.sweeps.sweep_arguments import Arguments
from mllm_probe.sweeps.sweep_plan import require_size
from mllm_probe.typing import JsonObject
from mllm_probe.vectors.files import load_vectors, save_vectors

_SWEEP, _VECTORS, _TO = f"{FILES}/sweep.json", f"{FILES}/vectors.safetensors", f"{FILES}/to.safetensors"
_IMAGE = FILES + "/{}.png"
_LOADED_WITH = {"name", "revision", "trust_remote_code"}
"""Arguments of :func:`mllm_probe.load` that a store may give."""


@dataclass(frozen=True)
class Origin:
    """Record in a store of the model that it was begun with.

    `load`: arguments of :func:`mllm_probe.load`; None for a model that was wrapped.
    """

    load: JsonObject | None
    name: str
    fingerprint: str
    dtype: str


@dataclass(frozen=True)
class Inputs:
    """Inputs of a sweep, as the files of its store.

    `files`: by their keys; the settings last, as they name the others. `images`: copies that the store keeps, by the
    hash of their pixels.
    """

    files: dict[str, bytes]
    images: dict[str, Any]


def inputs_of(job: SweepJob, place: Place) -> Inputs:
    """Vectors, images and settings of a sweep, before there is a store: what cannot be written leaves none behind."""
    model, lacking = job.model, _not_storable(job)
    document: JsonObject = {"only_where_it_was_begun": lacking}
    files: dict[str, bytes] = {}
    images: dict[str, Any] = {}
    if not lacking:
        files[_VECTORS] = _file_of(job.vectors)
        if job.settings.to is not None:
            files[_TO] = _file_of(job.settings.to)
        document |= {
            "model": asdict(Origin(model.loaded_with, model.name, model.fingerprint, dtype_name(model.dtype))),
            "settings": job.settings.stored(),
            "samples": _samples(job.samples, images),
        }
        document["images"] = {name: {"file": _source_file(image, place)} for name, image in images.items()}
        images = {name: image for name, image in images.items() if document["images"][name]["file"] is None}
    return Inputs(files | {_SWEEP: json.dumps(document).encode()}, images)


def save_inputs(inputs: Inputs, store: UnitStore) -> None:
    """Write them into the store; a process that dies meanwhile leaves the rest to the next one."""
    for name, image in inputs.images.items():
        store.put_file(_IMAGE.format(name), _png(image))
    for key, content in inputs.files.items():
        store.put_file(key, content)


def has_inputs(store: UnitStore) -> bool:
    """Whether a store holds all that :func:`save_inputs` writes."""
    return store.get_file(_SWEEP) is not None


@contextmanager
def _readable(store: UnitStore) -> Iterator[None]:
    """Name the store in an error of something else than :func:`save_inputs` wrote."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(
            f"what the sweep in {store.path} was begun with is damaged ({type(error).__name__}: {error}): run the line "
            "that began it once more, or copy the store again."
        ) from error


def origin_of(store: UnitStore) -> Origin:
    """The model that a store was begun with.

    Raises ValueError if the sweep can only be joined where it was begun, or its inputs are not there.
    """
    with _readable(store):
        origin = Origin(**_document(store)["model"])
        if origin.load is not None and not {"name"} <= set(origin.load) <= _LOADED_WITH:
            raise TypeError(f"the model is loaded with {', '.join(origin.load)}")
        return origin


def job_of(store: UnitStore, model: ProbeModel) -> SweepJob:
    """The sweep that a store was begun with.

    `model`: of the same weights. Raises ValueError if its inputs are not there, are damaged, or name a file of images
    that is gone.
    """
    with _readable(store):
        document = _document(store)
        vectors = _vectors_in(store, _VECTORS, model)
        to = _vectors_in(store, _TO, model) if document["settings"]["to"] else None
        settings = Settings(Arguments(**document["settings"] | {"to": to}), model, vectors)
        require_size(settings, len(document["samples"]["requests"]))
        _require_sizes(document["samples"], len(settings.axes.concepts))
        images = {name: _image(name, entry, store) for name, entry in document["images"].items()}
        return SweepJob(model, vectors, settings, _samples_from(document["samples"], images))


def _document(store: UnitStore) -> JsonObject:
    content = store.get_file(_SWEEP)
    if content is None:
        raise ValueError(
            f"the store {store.path} does not hold what it was begun with (no {_SWEEP}): it was begun by something "
            "else, or killed in its first moment. Run the line that began it once more."
        )
    try:
        document: JsonObject = json.loads(content)
    except ValueError as error:
        raise TypeError(f"{_SWEEP} is no JSON: {error}") from error
    if document["only_where_it_was_begun"]:
        raise ValueError(
            f"the sweep in {store.path} can only be joined by the Python line that began it, with the same store=: "
            f"{', '.join(document['only_where_it_was_begun'])} cannot be kept in a store."
        )
    return document


def _not_storable(job: SweepJob) -> list[str]:
    """Inputs of a sweep that only its own Python process knows."""
    settings, samples = job.settings, job.samples
    known = built_in()
    reasons = [f"metric '{metric.name}'" for metric in settings.metrics if known.get(metric.name) is not metric]
    if settings.operation.identity != settings.operation.name:  # it is not the built-in one of its name
        reasons.append(f"operation '{settings.operation.name}'")
    reasons += ["processed tensors"] * any(request.inputs is not None for request in samples.requests)
    if job.model.loaded_with is None:
        reasons.append(f"the model {job.model.name}, which was not loaded by its name")
    return reasons


def _samples(samples: Samples, images: dict[str, Any]) -> JsonObject:
    """Samples as JSON keeps them; their images go into ``images`` by the hash of their pixels."""

    def named(image: Any) -> str:
        name = image.id if isinstance(image, Picture) else content_hash(image)
        images.setdefault(name, image)
        return name

    return {
        "requests": [{"images": [named(image) for image in r.images], "prompt": r.prompt} for r in samples.requests],
        "labels": [None if labels is None else sorted(labels) for labels in samples.labels],
        "coordinates": samples.coordinates,
        "words": [list(forms) for forms in samples.words],
        "label_words": {name: list(forms) for name, forms in samples.label_words.items()},
        "categories": samples.categories,
        "examples": {name: named(image) for name, image in samples.examples.items()},
        "sides": [side.tolist() for side in samples.sides],
        "of_library": samples.of_library,
    }


def _samples_from(document: JsonObject, images: Mapping[str, Picture]) -> Samples:
    return Samples(
        requests=[
            Request(tuple(images[name] for name in request["images"]), request["prompt"])
            for request in document["requests"]
        ],
        labels=[None if labels is None else frozenset(labels) for labels in document["labels"]],
        coordinates=document["coordinates"],
        words=[tuple(tuple(word) if isinstance(word, list) else word for word in forms) for forms in document["words"]],
        label_words={name: tuple(forms) for name, forms in document["label_words"].items()},
        categories=document["categories"],
        examples={name: images[key] for name, key in document["examples"].items()},
        sides=(np.array(document["sides"][0], bool), np.array(document["sides"][1], bool)),
        of_library=document["of_library"],
    )


def _require_sizes(document: JsonObject, concepts: int) -> None:
    """Raise a TypeError unless samples have what belongs to each."""
    samples = len(document["requests"])
    lists = {"labels": [document["labels"]], "coordinates": list(document["coordinates"].values())}
    sizes = {name: {len(column) for column in columns} for name, columns in lists.items()}
    wrong = [name for name, lengths in sizes.items() if lengths != {samples}]
    wrong += ["words"] * (len(document["words"]) != concepts)
    wrong += ["of_library"] * (not isinstance(document["of_library"], bool))
    wrong += ["sides"] * ([np.shape(side) for side in document["sides"]] != [(concepts, samples)] * 2)
    if wrong:
        raise TypeError(f"{wrong[0]} are not those of {samples} samples and {concepts} concepts")


def _source_file(image: Any, place: Place) -> str | None:
    """The file in which the pixels of an image are; None where the store needs a copy."""
    source = image.source if isinstance(image, Picture) else image
    return str(Path(source).resolve()) if isinstance(source, (str, Path)) and not place.shared else None


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    (image.image if isinstance(image, Picture) else as_image(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def _image(name: str, entry: JsonObject, store: UnitStore) -> Picture:
    if entry["file"] is not None:
        path = Path(entry["file"])
        if not path.is_file():
            raise ValueError(
                f"the sweep in {store.path} uses the image {path}, which is not there: give this machine the same "
                "folder, or begin the sweep with images in memory, which are copied into the store."
            )
        image = Picture(path)
    else:
        content = store.get_file(_IMAGE.format(name))
        if content is None:
            raise ValueError(f"the store {store.path} lacks the image {name} that it was begun with.")
        try:
            image = Picture(as_image(content))
        except ValueError as error:
            raise ValueError(f"the image {name} in the store {store.path} is damaged ({error}).") from error
    if image.id != name:
        raise ValueError(f"the image {entry['file'] or name} of the sweep in {store.path} has other pixels than then.")
    return image


def _file_of(vectors: xr.Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return save_vectors(vectors, Path(folder) / "vectors.safetensors").read_bytes()


def _vectors_in(store: UnitStore, key: str, model: ProbeModel) -> xr.Dataset:
    content = store.get_file(key)
    if content is None:
        raise ValueError(f"the store {store.path} lacks {key}, the vectors that it was begun with.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.safetensors"
        path.write_bytes(content)
        try:
            return load_vectors(path, model).load()
        except ValueError as error:
            raise ValueError(f"the vectors in the store {store.path} cannot be used: {error}") from error


DaskClient: TypeAlias = Any
"""A ``dask.distributed.Client``; Dask is an extra."""

OneUnit = TypeVar("OneUnit", bound=Named)
_AHEAD = 2
"""Units per thread of the cluster that wait with the scheduler: whoever pauses waits for no more than these."""
_RETRIES = 2
_TOKEN = "token"
"""File in a folder, by which workers show that they see it."""


def require_client(client: object) -> None:
    """Raise a TypeError unless it is a client of a Dask cluster, or None."""
    if client is None or (hasattr(client, "submit") and hasattr(client, "nthreads")):
        return
    raise TypeError(
        f"client: expected a dask.distributed.Client, such as Client('tcp://…'); got {type(client).__name__}. Install "
        "it with: pip install 'mllm-probe[dask]'."
    )


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster that runs units.

    `task`: takes the address of a store and the name of a unit, and runs it where it is called. `leave`: takes the
    address of a store, and waits until it is left where it is called.
    """

    client: DaskClient
    task: Callable[[str, str], None]
    leave: Callable[[str], Awaitable[None]]

    def shared_folder(self) -> tempfile.TemporaryDirectory[str]:
        """A new folder that every worker was seen to write to: beside their own, or where Dask is told to.

        Raises ValueError if there is none.
        """
        tried = self._folders()
        for folder in tried:
            try:
                directory = tempfile.TemporaryDirectory(prefix="mllm-probe-", dir=folder, ignore_cleanup_errors=True)
            except OSError:
                continue
            token = uuid.uuid4().hex
            Path(directory.name, _TOKEN).write_text(token)
            seen = self.client.run(_answer, directory.name, token)
            if seen and all(Path(directory.name, name or _TOKEN + "?").is_file() for name in seen.values()):
                return directory
            directory.cleanup()
        raise ValueError(
            "client: workers write what they compute to a store, and no folder for a temporary one is seen by this "
            f"process and by all workers (tried {', '.join(tried) or 'none'}). Give store=, a path or an address that "
            "they all see, or set Dask's temporary-directory to one."
        )

    def forget(self, store: str) -> None:
        """Wait until no worker writes to a store any more."""
        self.client.run(self.leave, store, on_error="ignore")

    def _folders(self) -> list[str]:
        """Folders in which one that all share may be made."""
        import dask

        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        folders = [os.path.dirname(worker["local_directory"]) for worker in workers if worker.get("local_directory")]
        configured = dask.config.get("temporary-directory", None)
        return list(dict.fromkeys([*([str(configured)] if configured else []), *folders]))

    def run(
        self,
        store: str,
        missing: Sequence[OneUnit],
        *,
        load: Callable[[OneUnit], int],
        stopped: Callable[[], bool],
    ) -> Iterator[int]:
        """Have units run, in their order, and read each when it is done.

        A task takes the names of its store and its unit and returns nothing: arrays go through the store alone. A unit
        whose worker dies is run elsewhere.

        `store`: address of the store, as the workers see it. `load`: reads a unit that was finished, and returns its
        runs. `stopped`: whether to end. Yields: runs of each unit. Raises ConnectionError if the scheduler is gone, or
        took the units back. Raises Exception: what a worker raised, such as an error of the disk.
        """
        from distributed import as_completed
        from distributed.comm import CommClosedError

        left, units, running = deque(missing), dict[Any, OneUnit](), as_completed(loop=self.client.loop)
        try:
            while (left or units) and not stopped():
                with self._answering(store):
                    while left and len(units) < _AHEAD * max(1, sum(self.client.nthreads().values())):
                        # A few units ahead of the workers, so that stopping leaves little to take back. Not `pure`:
                        # Dask names pure tasks by their arguments, and a unit that was given back would count as
                        # computed.
                        unit = left.popleft()
                        future = self.client.submit(
                            self.task, store, unit.name, pure=False, retries=_RETRIES, priority=-unit.part
                        )
                        units[future] = unit
                        running.add(future)
                future = next(running)
                if future.cancelled():  # its own error is one that ``except Exception`` does not catch
                    raise self._lost(store, "it took back the units that it was given")
                try:
                    future.result()
                except CommClosedError as error:
                    raise self._lost(store, f"the connection to it is closed ({error})") from error
                yield load(units.pop(future))
        finally:
            with suppress(Exception):  # a scheduler that is gone has nothing to take back
                self.client.cancel(list(units))

    @contextmanager
    def _answering(self, store: str) -> Iterator[None]:
        """Say what to do where the scheduler does not answer."""
        try:
            yield
        except Exception as error:  # Dask raises several kinds, some of them its own
            raise self._lost(store, f"it does not answer ({type(error).__name__}: {error})") from error

    def _lost(self, store: str, what: str) -> ConnectionError:
        return ConnectionError(
            f"the scheduler of the cluster is gone: {what}. What its workers finished is in the store {store}. Run the "
            "same call again, with a client of a new cluster or without client= in this process: it goes on with what "
            "is missing."
        )


def _answer(folder: str, token: str) -> str | None:
    """Name of a file that this process writes to a folder in which it finds a token; None where it does not."""
    name = uuid.uuid4().hex
    try:
        if Path(folder, _TOKEN).read_text() != token:
            return None
        Path(folder, name).touch()
    except OSError:
        return None
    return name
