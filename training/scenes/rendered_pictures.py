"""The training pictures on disk: drawn large, resized by the released processor, with their targets."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mllm_probe.models.prompts import IMAGE_SIDE, image_processor
from mllm_probe.scenes.rendering import draw
from mllm_probe.scenes.sampling import choose, sample
from mllm_probe.scenes.scene import Scene
from training.scenes.targets import KINDS, SLOTS, patch_targets, slot_targets

DRAWN_SIZES = (128, 160, 192, 224, 256, 288, 320, 352, 384)
_CHUNK = 500


@dataclass(frozen=True)
class Pictures:
    """Pictures uint8 [n, 64, 64, 3], patch targets bool [n, 64, kinds], slot targets int8 [n, slots], and scenes."""

    seed: int
    images: np.ndarray
    patches: np.ndarray
    slots: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def scene(self, index: int) -> Scene:
        """Return the scene of picture `index`."""
        return training_scene(self.seed, index)


def training_scene(seed: int, index: int) -> Scene:
    """Return scene number `index` of a training set: it never shows a held-out combination."""
    return sample(np.random.default_rng([seed, index]), combinations="seen")


def shrink(images: list) -> np.ndarray:
    """Return pictures of any size as the shipped processor shrinks them, uint8 [n, 64, 64, 3]."""
    shrunk = image_processor()(images, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
    return np.clip(np.rint(np.asarray(shrunk)), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _draw_chunk(job: tuple[int, int, int]) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    seed, start, stop = job
    scenes = [training_scene(seed, index) for index in range(start, stop)]
    g = np.random.default_rng([seed, start, 1])
    images = shrink([draw(scene, choose(g, DRAWN_SIZES)) for scene in scenes])
    return start, images, np.stack([patch_targets(s) for s in scenes]), np.stack([slot_targets(s) for s in scenes])


def _chunks(seed: int, count: int, workers: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    jobs = [(seed, start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if workers <= 1:
        yield from map(_draw_chunk, jobs)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_draw_chunk, jobs)


def training_pictures(folder: Path, count: int, seed: int, workers: int = 2) -> Pictures:
    """Return the training pictures, drawn into `folder` if they are not there yet.

    `folder`: one folder holds one set; a set of another size or seed there is drawn anew. `workers`: processes that
    draw. Returns: memory-mapped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request = {"count": count, "seed": seed}
    stamp = folder / "complete.json"
    shapes = {
        "images": ((count, IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8),
        "patches": ((count, 64, len(KINDS)), np.bool_),
        "slots": ((count, len(SLOTS)), np.int8),
    }
    if not stamp.exists() or json.loads(stamp.read_text()) != request:
        stamp.unlink(missing_ok=True)
        arrays = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
            for name, (shape, dtype) in shapes.items()
        }
        for start, *parts in _chunks(seed, count, workers):
            for array, part in zip(arrays.values(), parts, strict=True):
                array[start : start + len(part)] = part
        for array in arrays.values():
            array.flush()
        stamp.write_text(json.dumps(request))
    loaded = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in shapes}
    return Pictures(seed, **loaded)
