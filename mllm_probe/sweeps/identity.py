"""Identity of a sweep: the settings that a store must match, field by field."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mllm_probe import schema
from mllm_probe.activations.dataset_hash import content_hash
from mllm_probe.activations.device_array import dtype_name
from mllm_probe.sweeps.duplicates import opposite_controls
from mllm_probe.sweeps.settings import OWN_PROJECTION
from mllm_probe.typing import JsonObject

if TYPE_CHECKING:
    from mllm_probe.sweeps.job import Job


def identity(job: Job) -> JsonObject:
    """Everything that decides the numbers of a sweep, as plain values that JSON keeps.

    Returns: by the names of ``sweep``'s parameters. Vectors, words and labels are named by a hash of their content;
    progress and library versions are not among them.
    """
    settings, samples, axes = job.settings, job.samples, job.settings.axes
    fields: dict[str, Any] = {
        "model": job.model.name,
        "weights": job.model.fingerprint,
        "dtype": dtype_name(job.model.dtype),
        "concepts": list(axes.concepts),
        "concept set": job.vectors.attrs.get("concepts"),
        "vectors": content_hash(job.vectors),
        "images": list(samples.coordinates[schema.SAMPLE]),
        "split": list(samples.coordinates.get(schema.SPLIT, [])),
        "pair": list(samples.coordinates.get(schema.PAIR, [])),
        "prompt": [request.prompt for request in samples.requests],
        **settings.identity(),
        "words": _hash_of([samples.words, samples.label_words, samples.categories]),
        "labels": _hash_of([None if labels is None else sorted(labels) for labels in samples.labels]),
        "examples": {name: samples.examples[name].id for name in axes.concepts if name in samples.examples},
    }
    if OWN_PROJECTION in settings.recorded:  # a store that was begun before there were any is refused by this field
        fields["own projections"] = True
    if opposite := opposite_controls(settings):  # so is one whose units ran opposite draws apart
        fields["opposite draws"] = list(opposite)
    return json.loads(json.dumps(fields))


def _hash_of(value: object) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=6).hexdigest()
