"""Sides of one piece of work against each other: outputs first, then times in turns, then peak memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.measuring import Timing, in_turns, seconds
from common.peers import Side, with_hooks
from common.report import megabytes
from common.work import Agreement, Answers, Cell, Work, compare, joined


@dataclass(frozen=True)
class Row:
    """Measurements of one side.

    Attributes
    ----------
    side : Side
    agreement : Agreement or None
        None where it could not run.
    timing : Timing or None
    memory : int or None
        Peak bytes above the loaded model.
    error : str
        Why it has no figures; empty otherwise.
    """

    side: Side
    agreement: Agreement | None = None
    timing: Timing | None = None
    memory: int | None = None
    error: str = ""

    @property
    def comparable(self) -> bool:
        """Whether its time may be set against others."""
        return self.timing is not None and self.agreement is not None and self.agreement.same


def spread(cells: Sequence[Cell], count: int) -> list[Cell]:
    """Some of the cells, evenly from the first to the last."""
    count = min(count, len(cells))
    if count == 1:
        return [cells[len(cells) // 2]]
    return [cells[round(i * (len(cells) - 1) / (count - 1))] for i in range(count)]


def timed_cells(work: Work, side: Side, sampled: int) -> list[Cell]:
    """Cells that a side runs when it is timed: all, or some from which the rest is scaled."""
    if side.chunk is None:
        return work.cells
    return spread(work.cells, sampled) if side.one_cell else work.cells[: side.chunk]


def run(work: Work, side: Side, cells: Sequence[Cell], prepared: Any = None) -> Answers:
    """Answers of a side, chunk by chunk."""
    size = side.chunk or len(cells)
    return joined([side.run(work, prepared, cells[i : i + size]) for i in range(0, len(cells), size)])


def measure(
    work: Work, sides: Sequence[Side], *, rounds: int, sampled: int, memory: Callable[[Side], int] | None
) -> list[Row]:
    """Compare the outputs of all sides with plain hooks, then time those that can run.

    Parameters
    ----------
    work : Work
    sides : sequence of Side
    rounds : int
        In each of them every side runs once.
    sampled : int
        Cells that are run one at a time; the rest of the grid is scaled from them.
    memory : callable, optional
        Peak bytes of a side, measured elsewhere.
    """
    reference = run(work, Side("reference", with_hooks, chunk=1), _reference_cells(work, sides, sampled))
    unsteered = with_hooks(work, None, [(work.layers[0], 0.0)])
    checked: dict[str, Row] = {}
    for side in sorted(sides, key=lambda side: side.chunk is None):
        checked[side.name], answers = _checked(work, side, reference, unsteered, sampled)
        if answers is not None and side.chunk is not None and checked[side.name].agreement.same:  # type: ignore[union-attr]
            reference = _with_more(reference, answers)
    rows = [checked[side.name] for side in sides]
    timings = in_turns({row.side.name: _timer(work, row.side, sampled) for row in rows if not row.error}, rounds)
    return [_timed(work, row, timings[row.side.name], sampled, memory) if not row.error else row for row in rows]


def _reference_cells(work: Work, sides: Sequence[Side], sampled: int) -> list[Cell]:
    """The sampled cells, and two of each chunk that is timed."""
    cells = spread(work.cells, sampled)
    for side in sides:
        if side.chunk is not None and not side.one_cell:
            cells += spread(work.cells[: side.chunk], 2)
    return list(dict.fromkeys(cells))


def _with_more(reference: Answers, answers: Answers) -> Answers:
    """The reference with the cells that a side which agrees with it has computed beyond."""
    new = [i for i, cell in enumerate(answers.cells) if cell not in set(reference.cells)]
    if not new or answers.logits is None or answers.tokens is None:
        return reference
    cells = [answers.cells[i] for i in new]
    return joined([reference, Answers(cells, answers.tokens[new], answers.logprob[new], answers.logits[new])])


def _checked(
    work: Work, side: Side, reference: Answers, unsteered: Answers, sampled: int
) -> tuple[Row, Answers | None]:
    """A side's outputs against the reference, and the outputs; this is its warm-up too."""
    if side.missing:
        return Row(side, error=side.missing), None
    expected, dtype = reference, work.subject.model.dtype
    if side.unedited:
        expected = joined([replace(unsteered, cells=[cell]) for cell in reference.cells])
    try:
        prepared = side.prepare(work) if side.prepare else None
        answers = run(work, side, timed_cells(work, side, sampled), prepared)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        why = f"cannot run: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
        return Row(side, error=why), None
    return Row(side, compare(expected, answers, dtype)), None if side.unedited else answers


def _timer(work: Work, side: Side, sampled: int) -> Callable[[int], float]:
    """Seconds for the whole grid, of one round."""
    device, cells = work.subject.model.device.type, timed_cells(work, side, sampled)

    def timed(number: int) -> float:
        own, held = side.setup(work) if side.setup else work, {}

        def prepare() -> None:
            held["prepared"] = side.prepare(own) if side.prepare else None

        once = seconds(prepare, device)
        part = seconds(lambda: run(own, side, cells, held["prepared"]), device)
        return once + part * len(work.cells) / len(cells)

    return timed


def _timed(work: Work, row: Row, samples: Sequence[float], sampled: int, memory: Callable[[Side], int] | None) -> Row:
    timed = len(timed_cells(work, row.side, sampled))
    note = "all" if timed == len(work.cells) else f"{timed} of {len(work.cells)} cells, scaled"
    return replace(row, timing=Timing(tuple(samples), note), memory=None if memory is None else memory(row.side))


HEADER = ("side", "seconds (quartiles)", "timed", "× ours", "× bound", "outputs", "peak memory")


def lines(rows: Sequence[Row], ours: Row, bound: Row) -> list[list[Any]]:
    """Rows of the table; a side with other outputs gets no ratio."""
    return [_line(row, ours, bound) for row in rows]


def ratio(row: Row | None, base: Row | None) -> float | None:
    """Time of one side by another's, None where outputs differ or one of them could not run."""
    if row is None or base is None or not (row.comparable and base.comparable):
        return None
    assert row.timing is not None and base.timing is not None
    return row.timing.median / base.timing.median


def _line(row: Row, ours: Row, bound: Row) -> list[Any]:
    if row.timing is None:
        return [row.side.name, row.error, *[None] * (len(HEADER) - 2)]
    ratios = [None if row is base or (r := ratio(row, base)) is None else f"{r:.2f}" for base in (ours, bound)]
    return [row.side.name, str(row.timing), row.timing.note, *ratios, str(row.agreement), megabytes(row.memory)]


def record(row: Row, ours: Row, bound: Row) -> dict[str, Any]:
    """A row for the JSON file."""
    record: dict[str, Any] = {"side": row.side.name, "error": row.error or None, "peak_memory_bytes": row.memory}
    if row.timing is not None and row.agreement is not None:
        record |= {
            "seconds": row.timing.median, "quartiles": row.timing.quartiles, "rounds": row.timing.samples,
            "timed": row.timing.note, "by_ours": ratio(row, ours), "by_bound": ratio(row, bound),
            "outputs": str(row.agreement), "outputs_same": row.agreement.same, "difference": row.agreement.difference,
        }  # fmt: skip
    return record


def fastest(rows: Sequence[Row], chosen: Callable[[Side], bool]) -> Row | None:
    """The fastest comparable side among the chosen ones."""
    comparable = [row for row in rows if row.comparable and chosen(row.side)]
    return min(comparable, key=lambda row: row.timing.median) if comparable else None  # type: ignore[union-attr]
