"""How often a map that fills is drawn again."""

import pytest

from mllm_probe.widgets.heatmap.layer_concept_heatmap import RateLimiter


def drawn(times: list[float], took: float = 0.0) -> list[float]:
    """Those of the times at which a drawing begins."""
    limiter, found = RateLimiter(shortest=0.05, share=0.2), []
    for now in times:
        if limiter.ready(now):
            limiter.record(now, took)
            found.append(now)
    return found


@pytest.mark.parametrize("late", [0.0, 0.004, 0.02])
def test_a_source_as_fast_as_may_be_drawn_is_drawn_every_time_though_it_jitters(late: float) -> None:
    times = [0.05 * k + (late if k % 2 else 0.0) for k in range(40)]
    assert drawn(times) == times


def test_a_faster_source_is_drawn_twenty_times_a_second() -> None:
    assert 20 <= len(drawn([k / 1000 for k in range(1000)])) <= 21


def test_a_pause_saves_up_no_turns() -> None:
    found = drawn([0.0, *(10 + k / 1000 for k in range(100))])
    assert len(found) <= 4


def test_drawing_takes_no_more_than_its_share_of_the_time() -> None:
    assert drawn([k / 100 for k in range(200)], took=0.1) == pytest.approx([0.0, 0.48, 0.98, 1.48, 1.98], abs=0.011)
