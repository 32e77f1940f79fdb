"""All studies of the bundled models and of an untrained one, run side by side and written as one page."""

from __future__ import annotations

import multiprocessing
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from mllm_probe import studies
from mllm_probe.activations.store_layout import open_group, write_group
from mllm_probe.concepts import ConceptLibrary, scenes
from mllm_probe.loading import load, randomised
from mllm_probe.loading.pretrained import wrap
from mllm_probe.models import ProbeModel
from mllm_probe.models.argument_checks import cache_root, whole_number
from mllm_probe.models.bundled import other_seeds
from mllm_probe.reports import StudySection, studies_report
from mllm_probe.scenes.language import OPPOSITES
from mllm_probe.scenes.scene import names
from mllm_probe.studies.multiverse import FEWEST_CONCEPTS, concluded, details_of, found, why_not

SPECIAL = (
    "<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<user>", "<assistant>", "<video>", "<vision_start>", "<vision_end>",
)  # fmt: skip
WORDS = """
    a an the of in on and with to or is are it there this that not no yes what how which where do you see describe
    image picture drawing photo scene show shows word words left right above below inside larger than
    cat dog bird fish tree house star moon circle square red green blue yellow happy sad calm angry
    sketch painting pixel cartoon order chaos symmetry one two three many , . ? !
""".split()  # noqa: SIM905
VOCABULARY = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}PICTURE{% endif %}"
    "{% endfor %}<{{ m['role'] }}>{% for c in m['content'] %}{% if c['type'] == 'text' %} {{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} <assistant>{% endif %}"
)


def word_tokenizer(picture: str) -> PreTrainedTokenizerFast:
    """A word-level tokenizer without case; ``picture`` is the text of the chat template for an image."""
    words = Tokenizer(models.WordLevel(dict(VOCABULARY), unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "video_token": "<video>",
            "user_token": "<user>",
            "assistant_token": "<assistant>",
            "vision_bos_token": "<vision_start>",
            "vision_eos_token": "<vision_end>",
            "boi_token": "<vision_start>",
            "eoi_token": "<vision_end>",
        },
        padding_side="left",
    )
    tokenizer.chat_template = TEMPLATE.replace("PICTURE", picture)
    return tokenizer


def text_configuration(layers: int, width: int) -> dict[str, object]:
    """Configuration of a small decoder with the words above."""
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def untrained_qwen(layers: int = 4, width: int = 32, seed: int = 0) -> ProbeModel:
    """A random Qwen2.5-VL (M-RoPE: position ids with three axes); the number of image tokens depends on the image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = text_configuration(layers, width) | {
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4},
        }
        config = Qwen2_5_VLConfig(
            text_config=text,
            vision_config={
                "depth": 2, "hidden_size": 32, "out_hidden_size": width, "num_heads": 4, "intermediate_size": 64,
                "fullatt_block_indexes": [1], "patch_size": 14, "initializer_range": 0.2,
            },
            image_token_id=VOCABULARY["<image>"],
            video_token_id=VOCABULARY["<video>"],
            vision_start_token_id=VOCABULARY["<vision_start>"],
            vision_end_token_id=VOCABULARY["<vision_end>"],
            tie_word_embeddings=False,
        )  # fmt: skip
        hf = Qwen2_5_VLForConditionalGeneration(config)
    tokenizer = word_tokenizer("<vision_start><image><vision_end>")
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )
    return with_processor(hf, processor, "tiny-qwen")


def with_processor(hf: PreTrainedModel, processor: object, name: str) -> ProbeModel:
    """Wrap a model that speaks the words above."""
    hf.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    facts = {"suggestions": ("What do you see?", "Describe the picture."), "default_prompt": "What do you see?"}
    return wrap(hf, processor, name=name, facts=facts)


LADDER = ("scenes-4l", "scenes-8l", "scenes-16l")
"""Models of the drawn world, which differ in depth."""
SHUFFLED, UNTRAINED = "scenes-4l with shuffled weights", "untrained tiny Qwen2.5-VL"
"""Models in which there is nothing to find."""
SCALING = "scaling"
_CONTRASTING = ("localization", SCALING)
PAIRS = 24
CONCEPTS = tuple(
    name for category in ("entity", "visual_style", "emotion", "abstract") for name in names(category)[:FEWEST_CONCEPTS]
)
"""Concepts that are studied: eight of each of the paper's categories."""
RELATIONS = tuple(OPPOSITES)


@dataclass(frozen=True)
class Finding:
    """A finding of the paper as a study asks for it.

    `heading`, `paper`: the question, and what the paper says. `sign`: of the verdict, if the paper's finding is there;
    0 where there is no finding of the paper. `limits`: what cannot be concluded whatever comes out. `unknown`: what of
    the paper's measure is not known, as a clause; such a finding is neither confirmed nor contradicted.
    """

    study: str
    heading: str
    paper: str
    sign: int
    limits: str
    unknown: str = ""


_FEW_SEEDS = "There are one or two seeds of each depth, all trained on the same drawings."
FINDINGS = (
    Finding(
        "localization",
        "1 · Where concepts are read out of the image",
        "The paper finds entities in few layers and abstract concepts spread over many.",
        1,
        f"Whether this holds for models of natural images. {_FEW_SEEDS}",
    ),
    Finding(
        "scaling",
        "2 · What depth changes",
        "The paper finds that depth helps abstract concepts, and that where entities sit hardly moves with scale.",
        1,
        f"A trend: three depths are too few. {_FEW_SEEDS}",
    ),
    Finding(
        "reverse_steering",
        "3 · Steering against a concept",
        "The paper finds that steering against a concept keeps it out of the answer while latent activations surge. "
        "Which activations it means is not known to us.",
        1,
        "Whether the paper's own measure would show a surge.",
        "which activations the paper's surge is measured on is not known",
    ),
    Finding(
        "recognition_vs_reasoning",
        "4 · Recognising a relation and reasoning from it",
        "The paper finds that relations are recognised without triggering the procedure that a problem needs.",
        1,
        "Whether this holds for other problems: there are four relations, and one problem that turns them round.",
    ),
    Finding("atlas", "5 · How concept vectors lie to each other", "", 0, "The geometry of words: these models have one "
            "token for each."),
    Finding("reliability", "6 · On how many images steering works", "", 0, "How steering fares on images that are "
            "unlike the drawings."),
)  # fmt: skip


@dataclass(frozen=True)
class StudyJob:
    """One study of one model, or of a ladder of them, as a process of its own runs it.

    `models`: names under which they are shown. `folder`: where all results are kept. `ladder`: for which it runs the
    grids of its model, and nothing else.
    """

    study: str
    models: tuple[str, ...]
    folder: Path
    ladder: StudyJob | None = None

    @property
    def model(self) -> str:
        """Name of the model, or of the ladder."""
        return self.models[0] if len(self.models) == 1 else f"ladder of {len(self.models)}"

    @property
    def result(self) -> Path:
        """Zarr group of the study, after which it need not run."""
        return self.ladder.result if self.ladder else self.folder / self.model / f"{self.study}.zarr"

    @property
    def runs(self) -> Path:
        """Folder of grids, from which a stopped study goes on, and of which concepts are fit, which all ask for."""
        # Ladders of any length have theirs in one place, so that a model that joins leaves those of the others.
        place = "ladder" if self.ladder or len(self.models) > 1 else self.model
        return self.folder / place / "runs"

    @property
    def weight(self) -> tuple[int, int]:
        """Sort key of its duration: the deepest model's blocks, then whether it has many grids to run."""
        blocks = max(depth_of(name) for name in self.models)
        return blocks, len(self.models) + 2 * (self.study in _CONTRASTING)

    def leaves_grids_for(self, other: StudyJob) -> bool:
        """Whether another job needs what this one runs."""
        shared = self.study == "localization" and other.study == SCALING and other.ladder is None
        return self.ladder == other or (shared and set(self.models) <= set(other.models))


def depth_of(name: str) -> int:
    """Blocks that the name of a model of the drawn world tells; 0 for others."""
    match = re.match(r"scenes-(\d+)l", name)
    return int(match[1]) if match else 0


def default_work() -> Path:
    """Return the folder in the user's cache for runs and results."""
    return cache_root() / "studies"


def available_models() -> dict[str, Callable[[], ProbeModel]]:
    """Models that are studied, by the name they are shown under: how each is loaded."""
    models: dict[str, Callable[[], ProbeModel]] = {name: partial(load, name) for name in LADDER}
    for folder in other_seeds():
        models[folder.name] = partial(_of_another_seed, folder)
    return models | {SHUFFLED: lambda: randomised(load(LADDER[0])), UNTRAINED: untrained_qwen}


def _of_another_seed(folder: Path) -> ProbeModel:
    model = load(folder)
    model.name = folder.name  # the folder's place is nobody's business in a report
    return model


def run_bundled_studies(
    folder: str | Path,
    page: str | Path,
    *,
    processes: int = 2,
    models: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> list[str]:
    """Run every study on every bundled model, and write one offline page.

    `folder`: where grids and results are kept: started again, what is there is not run again.
    `page`: the page to write.
    `processes`: of one thread each.
    `models`, `only`: some of the models, and some of the studies.

    Returns: lines for the user: the summary of every study, and a table of verdicts. Raises ValueError for an unknown
    model or study, or no process.
    """
    processes = whole_number("processes", processes, 1)
    chosen = _known("model", models, list(available_models()))
    asked = _known("study", only, [finding.study for finding in FINDINGS])
    jobs = list(_jobs(chosen, asked, Path(folder)))
    _run_all(jobs, processes)
    results = {job: open_group(job.result) for job in jobs if job.ladder is None}
    sections = [_section(finding, {job: result for job, result in results.items() if job.study == finding.study})
                for finding in FINDINGS if finding.study in asked]  # fmt: skip
    written = studies_report(sections, page, "What the bundled models say")
    lines = [_in_text(job, result) for job, result in results.items()]
    return [*lines, *_verdicts(results), "", f"{written.path} ({written.size / 1e6:.1f} MB)"]


def _in_text(job: StudyJob, study: xr.Dataset) -> str:
    """A study's summary and its details as a terminal shows them."""
    rows = details_of(study)
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"  {name.ljust(width)}  {text}" for name, text in rows]
    return "\n".join([f"{job.study} · {job.model}", str(study.attrs["summary"]), *lines, ""])


def _known(what: str, given: Sequence[str] | None, available: list[str]) -> list[str]:
    for name in given or ():
        if name not in available:
            raise ValueError(f"there is no {what} '{name}' to study; there are {', '.join(available)}.")
    return [name for name in available if not given or name in given]


def _jobs(models: Sequence[str], asked: Sequence[str], folder: Path) -> Iterator[StudyJob]:
    for finding in FINDINGS:
        if finding.study not in asked:
            continue
        if finding.study == SCALING:
            ladder = tuple(name for name in models if name not in (SHUFFLED, UNTRAINED))
            if len(ladder) > 1:
                whole = StudyJob(SCALING, ladder, folder)
                yield from (StudyJob(SCALING, (model,), folder, whole) for model in ladder)
                yield whole
        else:
            yield from (StudyJob(finding.study, (model,), folder) for model in models)


def _run_all(jobs: Sequence[StudyJob], processes: int) -> None:
    """Run what is not there yet, the longest first, and say what is finished."""
    waiting = sorted((job for job in jobs if not job.result.is_dir()), key=lambda job: job.weight, reverse=True)
    begun, total, finished = time.monotonic(), len(waiting), 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, max(1, total)), mp_context=context) as pool:
        running: dict[Future[float], StudyJob] = {}
        while waiting or running:
            # A ladder goes on with the grids that localization leaves, so that it waits for them.
            busy = [*running.values(), *waiting]
            for job in [job for job in waiting if not any(other.leaves_grids_for(job) for other in busy)]:
                waiting.remove(job)
                running[pool.submit(run_job, job)] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job, seconds, finished = running.pop(future), future.result(), finished + 1
                progress = f"{finished} of {total}, {(time.monotonic() - begun) / 60:.1f} minutes"
                what = job.study if job.ladder is None else f"grids for {job.study}"
                print(f"{job.model}: {what} in {seconds:.0f} s ({progress})", file=sys.stderr, flush=True)


def run_job(job: StudyJob) -> float:
    """Run one study in this process, write its dataset, and return the seconds it took."""
    begun = time.monotonic()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    loaded = [available_models()[name]() for name in job.models]
    relations = job.study == "recognition_vs_reasoning"
    library = scenes(concepts=list(RELATIONS if relations else CONCEPTS), pairs=PAIRS)
    if job.ladder is not None:
        studies.scaling_grids(loaded[0], library, store=job.runs, progress=False)
        return time.monotonic() - begun
    run: Any = getattr(studies, job.study)
    more: dict[str, Any] = {}
    if job.study in _CONTRASTING:
        shared = {
            name: _multiverse(job.folder, name, model, library) for name, model in zip(job.models, loaded, strict=True)
        }
        more["grids"] = shared if job.study == SCALING else shared[job.model]
    subject = loaded if job.study == SCALING else loaded[0]
    write_group(run(subject, library, store=job.runs, progress=False, **more), job.result)
    return time.monotonic() - begun


def _multiverse(folder: Path, name: str, model: ProbeModel, library: ConceptLibrary) -> dict[str, xr.Dataset]:
    """Grids that localization and scaling share, from the folder where they are there."""
    return studies.multiverse_grids(model, library, store=folder / name / "runs", progress=False)


def _section(finding: Finding, results: Mapping[StudyJob, xr.Dataset]) -> StudySection:
    """Part of the page about one question: what the paper says, what the models show, what cannot be concluded."""
    verdicts = [f"{job.model}: {verdict_on(finding, result)}" for job, result in results.items()]
    paper = [finding.paper] if finding.paper else []
    shown = [result for result in results.values() if result.data_vars]
    return StudySection(finding.heading, [*paper, *verdicts, f"What cannot be concluded: {finding.limits}"], shown)


def verdict_on(finding: Finding, study: xr.Dataset) -> str:
    """Say in words whether a study agrees with the paper, which it does only where it concludes at all.

    `study`: of that study. Without a finding of the paper: what the study found.
    """
    if not study.data_vars:
        return str(study.attrs["summary"])
    if "verdict" not in study or not finding.sign:
        return str(study.attrs["summary"]).splitlines()[1]
    if "curve_p" not in study.attrs:
        return "cannot tell, because the study is of an earlier version of the package: run it again."
    why, shown = finding.unknown or why_not(study), found(study, capital=False)
    if why:
        return f"cannot tell, because {why} ({shown.removesuffix('.')})."
    agrees = concluded(study) == finding.sign
    return f"{'agrees with' if agrees else 'contradicts'} the paper ({shown.removesuffix('.')})."


def _verdicts(results: Mapping[StudyJob, xr.Dataset]) -> list[str]:
    by_study = {finding.study: finding for finding in FINDINGS}
    return [f"{job.study} · {job.model}: {verdict_on(by_study[job.study], result)}" for job, result in results.items()]
