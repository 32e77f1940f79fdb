"""Second stage: the whole model learns to answer questions about pictures; a tower that learns on keeps its task."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from mllm_probe.scenes.language import Question, questions
from mllm_probe.scenes.scene import CONCEPTS
from mllm_probe.typing import JsonObject
from training import training_state
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.scenes.architecture import BOS, build, tokenizer
from training.scenes.model_folder import export
from training.scenes.question_packing import PREFIX, Pack, pack
from training.scenes.rendered_pictures import Pictures
from training.scenes.targets import DenseHead, dense_loss
from training.scenes.tower import Tower, autocast, features, share, tensors
from training.training_state import Groups, run_steps


@dataclass(frozen=True)
class DecoderPlan:
    """Training plan of the whole model: steps of `batch` pictures over all processes.

    `blocks`: decoder blocks.
    `room`: tokens for the questions of one picture.
    `questions`: at most, per picture.
    `muon_rate`, `adam_rate`: peak learning rates.
    `tower_rate`: factor on the rates for a tower that was trained here; a tower that is taken from another model stays
        as it is.
    `dense_weight`: weight of the tower's own task in the loss.
    `compiled`: compile the decoder; needs a C++ compiler on the CPU.
    """

    blocks: int
    steps: int = 6000
    batch: int = 32
    room: int = 84
    questions: int = 8
    muon_rate: float = 3e-3
    adam_rate: float = 1.5e-3
    tower_rate: float = 0.3
    dense_weight: float = 0.3
    warmup: int = 60
    save_every: int = 500
    seed: int = 0
    compiled: bool = False


@dataclass
class Parts:
    """Contents of a checkpoint: the model, its running mean, the head of a trainable tower, and the optimizer."""

    model: LlavaForConditionalGeneration
    head: DenseHead | None
    optimizer: HybridOptimizer
    mean: dict[str, Tensor] = field(default_factory=dict)


def _added(mask: Tensor) -> Tensor:
    """Return a mask as what eager attention adds to its scores; it would take a boolean one for 0 and 1."""
    return torch.zeros(mask.shape, dtype=torch.bfloat16, device=mask.device).masked_fill_(~mask, -1e9)


def answer_logits(
    model: LlavaForConditionalGeneration, hidden: Tensor, packed: Pack, chosen: Tensor | None = None
) -> Tensor:
    """Return the next-token logits after the picture, float32 [n, room, words], or those where `chosen` is true."""
    embed = model.get_input_embeddings()
    image = model.model.multi_modal_projector(hidden).to(embed.weight.dtype)
    start = embed(torch.full((len(hidden), 1), BOS, device=hidden.device))
    inputs = torch.cat([start, image, embed(packed.ids.to(hidden.device))], 1)
    decoder = model.model.language_model
    mask = packed.mask.to(hidden.device)
    out = decoder(
        inputs_embeds=inputs,
        attention_mask=_added(mask) if decoder.config._attn_implementation == "eager" else mask,
        position_ids=packed.positions.to(hidden.device),
        use_cache=False,
    ).last_hidden_state[:, PREFIX:]
    return model.lm_head(out if chosen is None else out[chosen]).float()


def encoder() -> Callable[[str], list[int]]:
    """Return a function from text to token ids that remembers what it has seen."""
    words, seen = tokenizer(), dict[str, list[int]]()

    def encode(text: str) -> list[int]:
        if text not in seen:
            if len(seen) > 100_000:
                seen.clear()
            seen[text] = words(text, add_special_tokens=False)["input_ids"]
        return seen[text]

    return encode


def _head(team: Team, model: LlavaForConditionalGeneration, tower: Tower) -> DenseHead | None:
    if tower.head is None:
        return None
    head = DenseHead(model.config.text_config.hidden_size).to(team.device)
    head.load_state_dict(tower.head)
    return head


def _prepare(team: Team, plan: DecoderPlan, tower: Tower) -> Parts:
    torch.manual_seed(plan.seed)
    model = build(plan.blocks).to(team.device)
    if team.device.type == "cpu":
        model.model.language_model.set_attn_implementation("eager")  # faster there than the fused kernel under a mask
    if plan.compiled:
        model.model.language_model.compile()
    model.model.vision_tower.load_state_dict(tower.weights)
    head = _head(team, model, tower)
    model.model.vision_tower.requires_grad_(head is not None)
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    named = [(n, p, plan.tower_rate if "vision_tower" in n else 1.0) for n, p in learning]
    if head is not None:
        named += [("head." + n, p, plan.tower_rate) for n, p in head.named_parameters()]
    optimizer = HybridOptimizer(named, plan.muon_rate, plan.adam_rate, 0.05, plan.steps, plan.warmup)
    mean = {name: p.detach().clone() for name, p in model.named_parameters()}
    return Parts(model, head, optimizer, mean)


def _restore(parts: Parts, path: Path) -> JsonObject:
    groups, progress = training_state.load(path)
    if not groups:
        return progress
    parts.model.load_state_dict(groups["model"])
    if parts.head is not None:
        parts.head.load_state_dict(groups["head"])
    parts.optimizer.load_state_tensors(groups["optimizer"])
    for name, tensor in groups["mean"].items():
        parts.mean[name].copy_(tensor)
    return progress


def _ask(pictures: Pictures, chosen: np.ndarray, plan: DecoderPlan, g: np.random.Generator) -> list[list[Question]]:
    return [questions(pictures.scene(int(index)), g, plan.questions) for index in chosen]


@torch.no_grad()
def answers_right(
    team: Team, plan: DecoderPlan, model: LlavaForConditionalGeneration, held: Pictures, count: int = 400
) -> dict[str, float]:
    """Return the share of whole answers that are right, teacher-forced, per kind of question.

    `held`: pictures that training does not see. `count`: how many of them. Returns a list counts as right if its first
    word is a true concept.
    """
    g, encode = np.random.default_rng(5), encoder()
    right: dict[str, list[float]] = {}
    for start in range(0, min(count, len(held)), 100):
        chosen = np.arange(start, min(start + 100, len(held)))
        packed = pack(_ask(held, chosen, plan, g), encode, plan.room)
        with autocast(team):
            best = answer_logits(model, features(model, tensors(held.images, chosen, team)), packed).argmax(-1).cpu()
        for place in packed.placements:
            span = slice(place.start, place.start + place.length)
            gold, predicted = packed.labels[place.row, span], best[place.row, span]
            exact = bool((gold == predicted).all())
            if place.question.kind in ("list", "things"):
                exact = int(predicted[0]) in {i for word in place.question.answer.split(", ") for i in encode(word)}
            right.setdefault(place.question.kind, []).append(exact)
            if place.question.kind == "relation" and place.question.answer in CONCEPTS:
                right.setdefault(f"relation {place.question.answer}", []).append(exact)
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(right.items())}


def _step(
    team: Team, plan: DecoderPlan, parts: Parts, pictures: Pictures, step: int, encode: Callable[[str], list[int]]
) -> Tensor:
    chosen = share(len(pictures), plan.batch, step, team, plan.seed + 1)
    g = np.random.default_rng([plan.seed, step, team.rank])
    packed = pack(_ask(pictures, chosen, plan, g), encode, plan.room)
    answered = packed.labels >= 0
    with autocast(team):
        hidden = features(parts.model, tensors(pictures.images, chosen, team))
        logits = answer_logits(parts.model, hidden, packed, answered.to(team.device))
    weights = packed.weights[answered].to(team.device)
    loss = (
        F.cross_entropy(logits, packed.labels[answered].to(team.device), reduction="none") * weights
    ).sum() / weights.sum()
    total = loss
    if parts.head is not None:
        targets = tensors(pictures.patches, chosen, team), tensors(pictures.slots, chosen, team)
        total = loss + plan.dense_weight * dense_loss(parts.head, hidden.float(), *targets)
    parts.optimizer.descend(total, step, team)
    if (step + 1) % 4 == 0:
        _follow(parts, step + 1)
    return loss


@torch.no_grad()
def _follow(parts: Parts, done: int) -> None:
    """Move the running mean of the weights towards the weights; called every fourth step."""
    weight = 1 - min(0.99, done / (done + 40))
    torch._foreach_lerp_(list(parts.mean.values()), [p.detach() for p in parts.model.parameters()], weight)


def train_decoder(
    team: Team, plan: DecoderPlan, pictures: Pictures, held: Pictures, tower: Tower, path: Path, out: Path
) -> None:
    """Train a whole model on top of a trained vision tower, or resume from the checkpoint at `path`.

    `pictures`, `held`: to train on, and to report on.
    `tower`: without a dense head it stays as it is.
    `path`: this model's checkpoint.
    `out`: folder that gets the model, anew with every checkpoint.
    """
    parts = _prepare(team, plan, tower)
    progress = _restore(parts, path)
    encode = encoder()

    def report() -> tuple[Groups, dict[str, float]]:
        export(plan.blocks, {**parts.model.state_dict(), **parts.mean}, out)
        groups = {
            "model": parts.model.state_dict(),
            "mean": parts.mean,
            "head": parts.head.state_dict() if parts.head is not None else {},
            "optimizer": parts.optimizer.state_tensors(),
        }
        return groups, answers_right(team, plan, parts.model, held)

    def step(number: int) -> Tensor:
        return _step(team, plan, parts, pictures, number, encode)

    run_steps(team, path, plan.steps, plan.save_every, progress, step, report)
