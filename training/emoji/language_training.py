"""Second stage of the emoji model: a frozen decoder answers about images, and keeps its language, from the first step.

Each step adds up three losses: packed questions about images, whose answers are in the captions; the untouched
decoder's own answers, to free questions about what is seen and to chats, by the divergence from its predictions; and
the tower's own task of the first stage, on images of its own. The projector learns on at a lower rate, the tower stays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mllm_probe.emoji.emoji_scene import EmojiScene, is_unseen, sample, scene_of
from mllm_probe.emoji.lexicon import STYLES
from mllm_probe.loading.efficientnet_lite import WIDTHS
from mllm_probe.scenes.language import Question
from mllm_probe.scenes.sampling import choose
from training import training_state
from training.emoji.captions import questions
from training.emoji.low_rank_adapters import adapter_weights, adapters, load_adapter_weights
from training.emoji.seeing_decoder import SeeingDecoder
from training.emoji.teacher_answers import Shown, Taught, divergence
from training.emoji.tower_examples import NOTHING, Artists, Batch, examples, training_batch
from training.emoji.vision_training import Readouts, vision_loss
from training.emoji.word_vectors import WordVectors
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.scenes.question_packing import Pack, pack
from training.training_state import Groups, run_steps

log = logging.getLogger(__name__)
ABOUT_STYLE = ("style", "is style", "describe")
"""Kinds of question that cannot be answered where ink hides the style."""
_PACKED, _TAUGHT, _HELD = 1, 2, 2**40
_LOG_STEPS = 10


@dataclass(frozen=True)
class LanguagePlan:
    """Training plan of adapters and projector, of whose images and answers every process takes its share.

    `images`: images of a step with packed questions.
    `questions`: at most, per image.
    `room`: tokens for the questions of one image.
    `about`, `chats`: answers of the untouched decoder in a step: about images, and without.
    `seen`: images of a step for the tower's own task.
    `about_weight`, `chat_weight`, `seen_weight`: of these three in the loss; that of packed questions is 1.
    `adapter_rate`: peak learning rate of the adapters, whose matrices are too thin for Muon.
    `muon_rate`, `adam_rate`: peak learning rates of the projector and the tower's readouts.
    `held`: images to report on.
    """

    steps: int = 1200
    images: int = 10
    questions: int = 4
    room: int = 96
    about: int = 6
    chats: int = 4
    seen: int = 16
    about_weight: float = 1.5
    chat_weight: float = 1.5
    seen_weight: float = 0.3
    adapter_rate: float = 6e-3
    muon_rate: float = 4.5e-4
    adam_rate: float = 2.4e-4
    weight_decay: float = 0.02
    warmup: int = 20
    save_seconds: float = 300.0
    held: int = 96
    seed: int = 0


@dataclass
class Learning:
    """All that a checkpoint holds: the model's trained parts, the tower's readouts, and the optimizer."""

    model: SeeingDecoder
    readouts: Readouts
    words: WordVectors
    optimizer: HybridOptimizer

    def state(self) -> Groups:
        """Return the groups of a checkpoint."""
        return self.model.eyes.weights() | {
            "adapters": adapter_weights(self.model.decoder),
            "readouts": self.readouts.state_dict(),
            "optimizer": self.optimizer.state_tensors(),
        }

    def restore(self, groups: Groups) -> None:
        """Restore what `state` returned."""
        self.model.eyes.load_weights(groups)
        load_adapter_weights(self.model.decoder, groups["adapters"])
        self.readouts.load_state_dict(groups["readouts"])
        self.optimizer.load_state_tensors(groups["optimizer"])


@dataclass(frozen=True)
class StepData:
    """One step's data: images with packed questions, the untouched decoder's answers with theirs, and the tower's."""

    images: np.ndarray
    packed: Pack
    about: Sequence[Taught]
    chats: Sequence[Taught]
    seen: Batch


def _begin(model: SeeingDecoder, words: WordVectors, plan: LanguagePlan, tower: Path) -> Learning:
    torch.manual_seed(plan.seed)
    groups, _ = training_state.load(tower)
    if not groups:
        raise FileNotFoundError(f"no trained vision tower at {tower}: train the tower first")
    model.eyes.load_weights(groups)
    for adapter in adapters(model.decoder).values():
        adapter.reset()
    readouts = Readouts(model.eyes.width).to(model.device)
    readouts.load_state_dict(groups["readouts"])
    thin = plan.adapter_rate / plan.adam_rate
    named = [(f"adapter.{name}.{i}", p, thin) for name, one in adapters(model.decoder).items()
             for i, p in enumerate((one.down, one.up))]  # fmt: skip
    model.eyes.train_from(len(WIDTHS))
    named += [(name, parameter, 1.0) for name, parameter in model.eyes.named_parameters() if parameter.requires_grad]
    named += [(f"head.{name}", parameter, 1.0) for name, parameter in readouts.named_parameters()]
    optimizer = HybridOptimizer(named, plan.muon_rate, plan.adam_rate, plan.weight_decay, plan.steps, plan.warmup)
    return Learning(model, readouts, words.to(model.device), optimizer)


def asked_about(scenes: Sequence[EmojiScene], drawn: Batch, g: np.random.Generator, most: int) -> list[list[Question]]:
    """Return questions about scenes as they are drawn: of their style only where ink does not hide it."""
    asked = []
    for scene, style in zip(scenes, drawn.styles, strict=True):
        every = questions(scene, g, most + len(ABOUT_STYLE))
        asked.append([one for one in every if style != NOTHING or one.kind not in ABOUT_STYLE][:most])
    return asked


def shown_again(shown: Shown, g: np.random.Generator) -> EmojiScene:
    """Return a scene that shows something, in any style that training may show it in."""
    while True:
        other = scene_of(g, shown.names, choose(g, STYLES))
        other = replace(other, arrangement=shown.arrangement, relation=shown.relation)
        if not is_unseen(other):
            return other


def step_data(
    model: SeeingDecoder, plan: LanguagePlan, taught: Sequence[Taught], step: int, artists: Artists = ()
) -> StepData:
    """Return the data of one step: the same for the same seed and step."""
    g = np.random.default_rng([plan.seed, step, _PACKED])
    scenes = [sample(g, "seen") for _ in range(plan.images)]
    about, chats = _taught(taught, plan, step)
    again = [shown_again(one.asked.shown, g) for one in about if one.asked.shown is not None]
    drawn = examples([*scenes, *again], g, artists=artists)
    asked = asked_about(scenes, drawn_first(drawn, len(scenes)), g, plan.questions)
    packed = pack(asked, model.tokens.encode, plan.room, model.tokens.turn)
    return StepData(drawn.images, packed, about, chats, training_batch(plan.seed + 1, step, plan.seen, artists))


def drawn_first(drawn: Batch, count: int) -> Batch:
    """Return the first of some examples."""
    return Batch(**{name: values[:count] for name, values in vars(drawn).items()})


def _taught(taught: Sequence[Taught], plan: LanguagePlan, step: int) -> tuple[list[Taught], list[Taught]]:
    """The answers of one step, about images and without; each kind is shuffled anew when it has been used up."""
    chosen = []
    for kind, (with_scene, count) in enumerate(((True, plan.about), (False, plan.chats))):
        members = [one for one in taught if (one.asked.shown is not None) == with_scene]
        places = [divmod(number, len(members)) for number in range(step * count, (step + 1) * count)]
        orders = {
            epoch: np.random.default_rng([plan.seed, _TAUGHT, kind, epoch]).permutation(len(members))
            for epoch in {epoch for epoch, _ in places}
        }
        chosen.append([members[orders[epoch][place]] for epoch, place in places])
    return chosen[0], chosen[1]


def taught_divergence(model: SeeingDecoder, image: Tensor, about: Sequence[Taught], chats: Sequence[Taught]) -> Tensor:
    """Return the divergence from the untouched decoder at every token of its answers, those about images first.

    `image`: image tokens [about, 16, hidden]. Returns: float32 [tokens], in nats.
    """
    rows, places = [], []
    for one in (*about, *chats):
        ask = model.tokens.chat if one.asked.shown is None else model.tokens.about_image
        prompt = ask(one.asked.question)
        # The last token of an answer predicts nothing that is compared: it is left out.
        rows.append([*prompt, *one.answer[:-1].tolist()])
        places.append(range(len(prompt) - 1, len(rows[-1])))
    logits = model.row_logits(image, rows, places)
    likely, kept = (
        torch.from_numpy(np.concatenate([getattr(one, name) for one in (*about, *chats)])).to(model.device)
        for name in ("likely", "log_probabilities")
    )
    return divergence(logits, likely, kept.float())


def _losses(learning: Learning, plan: LanguagePlan, data: StepData) -> dict[str, Tensor]:
    """Losses of one step by their names, unweighted."""
    model = learning.model
    _, image = model.look(data.images)
    answered = data.packed.labels >= 0
    logits = model.packed_logits(image[: plan.images], data.packed, answered)
    weights = data.packed.weights[answered].to(model.device)
    wrong = F.cross_entropy(logits, data.packed.labels[answered].to(model.device), reduction="none")
    apart = taught_divergence(model, image[plan.images :], data.about, data.chats)
    about = sum(len(one.answer) for one in data.about)
    return {
        "answers": (wrong * weights).sum() / weights.sum(),
        "about": apart[:about].mean(),
        "chats": apart[about:].mean(),
        "seen": vision_loss(model.eyes, learning.readouts, learning.words, data.seen, model.device),
    }


def weighted(losses: dict[str, Tensor], plan: LanguagePlan) -> Tensor:
    """Return the training loss, a scalar."""
    weights = {"answers": 1.0, "about": plan.about_weight, "chats": plan.chat_weight, "seen": plan.seen_weight}
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


@torch.no_grad()
def answers_right(model: SeeingDecoder, plan: LanguagePlan) -> dict[str, float]:
    """Return the share of whole answers that are right on new images, teacher-forced, per kind of question."""
    g = np.random.default_rng([plan.seed, _HELD])
    right: dict[str, list[bool]] = {}
    for start in range(0, plan.held, 16):
        scenes = [sample(g, "seen") for _ in range(min(16, plan.held - start))]
        drawn = examples(scenes)
        packed = pack(asked_about(scenes, drawn, g, plan.questions), model.tokens.encode, plan.room, model.tokens.turn)
        answered = packed.labels >= 0
        best = torch.full_like(packed.labels, NOTHING)
        best[answered] = model.packed_logits(model.look(drawn.images)[1], packed, answered).argmax(-1).cpu()
        for place in packed.placements:
            span = slice(place.start, place.start + place.length)
            same = bool((best[place.row, span] == packed.labels[place.row, span]).all())
            right.setdefault(place.question.kind, []).append(same)
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(right.items())}


def share_of(plan: LanguagePlan, team: Team) -> LanguagePlan:
    """Return the plan with one process's share of the images and answers of a step."""
    counts = {name: max(1, getattr(plan, name) // team.size) for name in ("images", "about", "chats", "seen")}
    return replace(plan, **counts)


def train_language(
    team: Team,
    model: SeeingDecoder,
    words: WordVectors,
    taught: Sequence[Taught],
    plan: LanguagePlan,
    tower: Path,
    path: Path,
    paused: Callable[[], bool] = lambda: False,
    artists: Artists = (),
) -> None:
    """Train adapters and projector, or resume from the checkpoint at `path`.

    `team`: processes that share each step.
    `model`: its trained parts are set from the checkpoint, or from the tower's.
    `words`: of the tower's own task.
    `taught`: from `teacher_answers`.
    `tower`: checkpoint of the first stage.
    `path`: this stage's checkpoint; complete when its progress says `step` equals the plan's steps.
    `paused`: asked after every step whether to save and end.
    `artists`: other artists, who draw some of the pictures.
    """
    learning = _begin(model, words, plan, tower)
    groups, progress = training_state.load(path)
    if groups:
        learning.restore(groups)
    own = share_of(plan, team)

    def step(number: int) -> Tensor:
        data = step_data(model, own, taught, number * team.size + team.rank, artists)
        losses = _losses(learning, own, data)
        loss = weighted(losses, plan)
        learning.optimizer.descend(loss, number, team)
        if number % _LOG_STEPS == 0:
            log.info("step %d: %s", number, ", ".join(f"{name} {one.item():.3f}" for name, one in losses.items()))
        return loss

    def report() -> tuple[Groups, dict[str, float]]:
        return learning.state(), answers_right(model, plan)

    run_steps(team, path, plan.steps, plan.steps, progress, step, report, plan.save_seconds, paused)


def seconds_per_step(
    team: Team,
    model: SeeingDecoder,
    words: WordVectors,
    taught: Sequence[Taught],
    plan: LanguagePlan,
    tower: Path,
    count: int = 4,
) -> float:
    """Return the median time of a step, measured on some whose results are thrown away."""
    learning, took, own = _begin(model, words, plan, tower), [], share_of(plan, team)
    for number in range(count):
        began = time.monotonic()
        losses = _losses(learning, own, step_data(model, own, taught, number * team.size + team.rank))
        learning.optimizer.descend(weighted(losses, plan), number, team)
        took.append(time.monotonic() - began)
    return float(np.median(took))
