"""What counts as naming, held to the judgement of a reader."""

from tests.metrics import answers

ROWS = answers.read()


def test_the_table_is_long_varied_and_not_won_by_one_answer():
    assert len(ROWS) == len({(row.answer, row.words) for row in ROWS}) >= 70
    plain = sum(row.kind == "plain positive" for row in ROWS)
    assert plain >= len(ROWS) / 3 and len({row.kind for row in ROWS}) >= 15
    assert 0.4 < sum(row.named for row in ROWS) / len(ROWS) < 0.65
