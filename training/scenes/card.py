"""The model card: data, steps, time and held-out results."""

import json
from pathlib import Path

from mllm_probe.scenes.scene import HELD_OUT
from mllm_probe.typing import JsonObject
from training.scenes.run import Times, TrainingPlan
from training.scenes.tower import TowerPlan

RESULTS = "evaluation.json"
"""File in a model's folder with what `python -m training evaluate --save` measured."""

_HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---
# {model}

A small vision-language model that was trained from nothing on a drawn world, so that probing and steering can be
learnt and checked on a machine without a network. It knows 48 concepts: 16 things, 8 visual styles, 8 emotions on
faces, 8 abstract concepts of arrangement and 8 geometric relations. It knows nothing else: pictures other than such
drawings, and words outside its small vocabulary, mean nothing to it.

A genuine `LlavaForConditionalGeneration`: Swin vision tower (64 by 64 pixels, 64 image tokens), a projector with one
hidden layer, Llama decoder of {blocks} blocks of width 128, word-level tokenizer, half-precision safetensors.

## Training
| | |
|---|---|
| pictures | {pictures:,} scenes of seed {seed}, drawn at 128 to 384 pixels, shrunk by the model's processor |
| left out | {held_out} combinations of thing and style, emotion and style, arrangement and thing |
| vision tower | {tower} |
| whole model | {steps:,} steps of {batch} pictures, up to {questions} questions each; {learning} |
| optimizer | Muon on hidden matrices, AdamW on the rest, one cosine each; running mean of the weights |
| processes | {processes}, of one thread each, on cores shared with other work |
| wall time | tower {tower_wall:.0f} min, whole model {decoder_wall:.0f} min |
| processor time | tower {tower_cpu:.0f} min, whole model {decoder_cpu:.0f} min |

Made by `{command}`.
"""


def _results(folder: Path) -> str:
    path = folder / RESULTS
    if not path.exists():
        return "\n## Held-out results\nNot measured yet: `python -m training evaluate` prints and keeps them.\n"
    parts = json.loads(path.read_text())
    return "\n## Held-out results\n" + "\n\n".join(text for part in parts.values() for text in part) + "\n"


def write_card(folder: Path, plan: TrainingPlan, took: Times) -> None:
    """Write `README.md` and, for later cards, `training.json` into a model's folder."""
    trained = plan.tower if isinstance(plan.tower, TowerPlan) else None
    facts = {
        "model": plan.model,
        "blocks": plan.decoder.blocks,
        "pictures": plan.pictures,
        "seed": plan.seed,
        "held_out": len(HELD_OUT),
        "tower_from": plan.tower.name if isinstance(plan.tower, Path) else None,
        "tower_steps": trained and trained.steps,
        "tower_batch": trained and trained.batch,
        "steps": plan.decoder.steps,
        "batch": plan.decoder.batch,
        "questions": plan.decoder.questions,
        "rate": plan.decoder.tower_rate if trained else 0.0,
        "processes": plan.processes,
        "tower_wall": took.tower_wall / 60,
        "tower_cpu": took.tower_cpu / 60,
        "decoder_wall": took.decoder_wall / 60,
        "decoder_cpu": took.decoder_cpu / 60,
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    refresh_card(folder)


def _texts(facts: JsonObject) -> dict[str, str]:
    """Return the lines of a card that depend on where the vision tower came from."""
    command = f"python -m training train {facts['model']} --steps {facts['steps']}"
    command += f" --threads {facts['processes']}"
    if facts["tower_from"]:
        return {
            "tower": f"that of {facts['tower_from']}, kept as it is: depth is what differs between the two models",
            "learning": "tower frozen",
            "command": f"{command} --tower {facts['tower_from']}",
        }
    return {
        "tower": f"{facts['tower_steps']:,} steps of {facts['tower_batch']} pictures: "
        "what each patch and each picture shows",
        "learning": f"tower at {facts['rate']} of the rate",
        "command": command,
    }


def refresh_card(folder: Path) -> None:
    """Write the card from `training.json` and the results in the same folder."""
    facts = json.loads((folder / "training.json").read_text())
    (folder / "README.md").write_text(_HEAD.format(**facts, **_texts(facts)) + _results(folder))
