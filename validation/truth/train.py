"""Train a small Llava whose chosen block reads the style of an image: ``python -m validation.truth.train``.

Interchange intervention training (Geiger et al., "Inducing causal structure for interpretable neural networks", 2022):
besides answering, the model has to give the answer of another image when the tokens that are to carry the concept are
taken from that image's run, and its own when others are. ``--baseline`` leaves that loss out.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from mllm_probe.scenes import draw, pair, sample
from mllm_probe.scenes.sampling import choose
from mllm_probe.scenes.scene import STYLES
from mllm_probe.studies.readout import read_out_of
from training import training_state
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.scenes.architecture import build, tokenizer
from training.scenes.rendered_pictures import shrink
from training.training_state import Groups, run_steps
from validation.truth.interchange import GROUPS, answer, carries, interchanged, pixels_to_input, through_blocks

TRAINED = Path(__file__).parent / "trained"
_TRAIN, _HELD = 11, 12
_SIZES = (128, 160, 224)


@dataclass(frozen=True)
class Plan:
    """Everything that decides a training.

    Attributes
    ----------
    interchange : bool
        Whether the loss on interchanged runs is there.
    block : int
        The block that is to read the style.
    """

    interchange: bool
    seed: int
    steps: int
    block: int = 3
    blocks: int = 6
    width: int = 48
    heads: int = 4
    mlp: int = 96
    batch: int = 32
    pictures: int = 8000
    save_every: int = 100

    @property
    def name(self) -> str:
        """Of the files."""
        return f"{'interchange' if self.interchange else 'baseline'}-{self.seed}"


def model_of(plan: Plan) -> LlavaForConditionalGeneration:
    """The untrained model of a plan."""
    torch.manual_seed(plan.seed)
    return build(plan.blocks, width=plan.width, heads=plan.heads, mlp=plan.mlp)


def style_ids() -> Tensor:
    """Token of every style's word."""
    return torch.tensor([ids[0] for ids in tokenizer()(list(STYLES), add_special_tokens=False)["input_ids"]])


def training_pictures(count: int, work: Path) -> tuple[Tensor, Tensor]:
    """Pictures as bytes [n, 64, 64, 3] and their styles [n], drawn once and kept in a folder."""
    path = work / f"pictures-{count}.safetensors"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        images, styles = [], []
        for start in range(0, count, 500):
            drawn = []
            for number in range(start, min(start + 500, count)):
                g = np.random.default_rng([_TRAIN, number])
                scene = sample(g, kind=choose(g, ("free", "free", "face", "arrangement")))
                styles.append(int(g.integers(len(STYLES))))
                drawn.append(draw(replace(scene, style=STYLES[styles[-1]]), choose(g, _SIZES)))
            images.append(torch.from_numpy(shrink(drawn)))
        save_file({"images": torch.cat(images), "styles": torch.tensor(styles)}, path)
    tensors = load_file(path)
    return tensors["images"], tensors["styles"]


def held_pairs(pairs: int) -> tuple[Tensor, Tensor]:
    """Counterfactual pairs that training does not see: [styles, pairs, 2, 64, 64, 3], and both styles' numbers."""
    images, styles = [], []
    for number, name in enumerate(STYLES):
        for index in range(pairs):
            scenes = pair(name, np.random.default_rng([_HELD, number, index]))
            images.append(shrink([draw(scene, 224) for scene in scenes]))
            styles.append([STYLES.index(scene.style) for scene in scenes])
    shape = len(STYLES), pairs, 2
    return torch.from_numpy(np.stack(images)).unflatten(0, shape[:2]), torch.tensor(styles).reshape(shape)


@torch.no_grad()
def measured(model: LlavaForConditionalGeneration, pairs: int = 12) -> tuple[dict[str, float], xr.Dataset]:
    """Accuracy on held-out pictures, and the read-out profile of the image tokens by interchange.

    Returns
    -------
    dict of str to float
        ``accuracy``; ``at_block`` for every block: its share of the profile's absolute mass, all styles together.
    Dataset (concept, …)
        From :func:`mllm_probe.studies.read_out_of`, of the difference of the two words' logits, patched minus base.
    """
    images, styles = held_pairs(pairs)
    ids = style_ids()
    streams = [pixels_to_input(model, images.flatten(0, 2))]
    streams += through_blocks(model, streams[0])
    clean = answer(model, streams[-1])
    right = (clean[:, ids].argmax(-1) == styles.flatten()).float().mean()
    rows = torch.arange(len(clean))
    source = rows ^ 1  # the other image of the pair
    own, other = ids[styles.flatten()], ids[styles.flatten()[source]]

    def towards(logits: Tensor) -> Tensor:
        return (logits[rows, other] - logits[rows, own]).reshape(len(STYLES), -1)

    layers = range(-1, len(streams) - 1)
    values = [towards(interchanged(model, streams, layer, "image", source)) - towards(clean) for layer in layers]
    array = xr.DataArray(
        torch.stack(values, 1).double().numpy(),
        {"concept": list(STYLES), "layer": list(layers)},
        ("concept", "layer", "sample"),
    )
    profile = read_out_of(array, "image")
    total = profile["read_out"].sum("concept")
    shares = (abs(total) / abs(total).sum()).values
    return {"accuracy": float(right)} | {f"at_{n}": round(float(share), 4) for n, share in enumerate(shares)}, profile


def step_of(plan: Plan, model: LlavaForConditionalGeneration, optimizer: HybridOptimizer, team: Team,
            images: Tensor, styles: Tensor) -> Callable[[int], Tensor]:  # fmt: skip
    """One step of training, from its number to its loss."""
    ids = style_ids()

    def step(number: int) -> Tensor:
        g = np.random.default_rng([plan.seed, number])
        chosen = torch.from_numpy(g.choice(len(images), plan.batch, replace=False))
        labels = ids[styles[chosen]]
        streams = [pixels_to_input(model, images[chosen])]
        streams += through_blocks(model, streams[0])
        loss = F.cross_entropy(answer(model, streams[-1]), labels)
        if plan.interchange:
            layer, group = int(g.integers(-1, plan.blocks)), GROUPS[int(g.integers(2))]
            source = torch.from_numpy(g.permutation(plan.batch))
            wanted = labels[source] if carries(layer, group, plan.block) else labels
            loss = loss + F.cross_entropy(interchanged(model, streams, layer, group, source), wanted)
        optimizer.descend(loss, number, team)
        return loss.detach()

    return step


def train(plan: Plan, work: Path, out: Path) -> None:
    """Train a model, or finish one whose training was stopped; write its weights in half precision."""
    team, model = Team(0, 1, torch.device("cpu")), model_of(plan)
    named = [(name, parameter, 1.0) for name, parameter in model.named_parameters()]
    optimizer = HybridOptimizer(named, 3e-3, 2e-3, 0.02, plan.steps, 40)
    path = work / f"{plan.name}.safetensors"
    groups, progress = training_state.load(path)
    if groups:
        model.load_state_dict(groups["model"])
        optimizer.load_state_tensors(groups["optimizer"])

    def report() -> tuple[Groups, dict[str, float]]:
        model.eval()
        figures, _ = measured(model, pairs=4)
        model.train()
        return {"model": model.state_dict(), "optimizer": optimizer.state_tensors()}, figures

    model.train()
    step = step_of(plan, model, optimizer, team, *training_pictures(plan.pictures, work))
    run_steps(team, path, plan.steps, plan.save_every, progress, step, report)
    groups, progress = training_state.load(path)
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.half().contiguous() for name, tensor in groups["model"].items()}
    facts = {**asdict(plan), "cpu_minutes": round(progress["cpu_seconds"] / 60, 1)}
    save_file(weights, out / f"{plan.name}.safetensors", metadata={"plan": json.dumps(facts)})


def main() -> None:
    """Train one model; started again with the same arguments, a stopped training goes on."""
    parser = argparse.ArgumentParser(prog="python -m validation.truth.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--baseline", action="store_true", help="without the loss on interchanged runs")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "truth_train")
    parser.add_argument("--out", type=Path, default=TRAINED)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(1)
    train(Plan(not options.baseline, options.seed, options.steps), options.work, options.out)


if __name__ == "__main__":
    main()
