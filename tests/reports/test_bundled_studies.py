"""All studies of the bundled models: which jobs there are, what is said of them, and that a stopped run goes on."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mllm_probe.cli import WRONG_INPUT, main
from mllm_probe.models import bundled
from mllm_probe.reports import bundled_studies as home
from mllm_probe.reports.bundled_studies import FINDINGS, LADDER, SCALING, SHUFFLED, UNTRAINED, StudyJob, verdict_on
from mllm_probe.studies import multiverse, scaling_study
from mllm_probe.studies.multiverse import Labels, asked

EVERY = [finding.study for finding in FINDINGS]


BY_STUDY = {finding.study: finding for finding in FINDINGS}
CERTAIN = np.r_[np.ones(8), np.zeros(8)] + np.arange(16) / 100


def study(values, of=multiverse.LOCALIZATION, lacking=""):
    ways = asked(of, lambda **way: values, Labels(np.arange(16) < 8), lacking=lacking)
    return ways.assign_attrs(summary="first\nsecond", study="localization", n_concepts=16)


def test_every_model_has_every_study_and_the_ladder_one(tmp_path):
    jobs = list(home._jobs([*LADDER, SHUFFLED, UNTRAINED], EVERY, tmp_path))
    (ladder,) = [job for job in jobs if job.study == SCALING and job.ladder is None]
    assert ladder.models == LADDER and ladder.model == "ladder of 3"
    assert [job.models for job in jobs if job.ladder == ladder] == [(name,) for name in LADDER]
    assert len({job.result for job in jobs}) == len(jobs) - len(LADDER) == 5 * 5 + 1
    assert not [job for job in home._jobs(["scenes-4l"], EVERY, tmp_path) if job.study == SCALING]


def test_the_deepest_models_go_first_and_a_ladder_waits_for_its_grids(tmp_path):
    deep, shallow = (StudyJob("localization", (name,), tmp_path) for name in ("scenes-16l", "scenes-4l"))
    assert deep.weight > shallow.weight > StudyJob("atlas", ("scenes-4l",), tmp_path).weight
    ladder = StudyJob(SCALING, LADDER, tmp_path)
    assert deep.leaves_grids_for(ladder) and not deep.leaves_grids_for(shallow)
    assert not StudyJob("atlas", ("scenes-4l",), tmp_path).leaves_grids_for(ladder)
    grids = StudyJob(SCALING, ("scenes-16l",), tmp_path, ladder)
    assert grids.runs == ladder.runs == StudyJob(SCALING, LADDER[:2], tmp_path).runs != deep.runs
    assert grids.leaves_grids_for(ladder) and not deep.leaves_grids_for(grids) and not ladder.leaves_grids_for(grids)
    assert home.depth_of("scenes-16l-seed1") == 16 and home.depth_of(UNTRAINED) == 0


@pytest.mark.parametrize(
    "values, said",
    [(CERTAIN, "agrees with the paper ("), (-CERTAIN, "contradicts the paper ("),
     (CERTAIN * np.tile([1, -1], 8), "cannot tell, because the ways together do not differ from chance ("),
     (CERTAIN * np.where(np.arange(16) == 3, np.nan, 1), "cannot tell, because it compares 7 concepts of the smaller")],
)  # fmt: skip
def test_agreement_with_the_paper_is_what_a_study_concludes(values, said):
    told = verdict_on(BY_STUDY["localization"], study(values))
    assert told.startswith(said) and "of 8 ways" in told and "for all ways together)." in told


def test_a_ladder_of_two_models_neither_agrees_nor_contradicts():
    """Whatever the ways say: the ladder of two that agreed with the paper is a coin toss."""
    few = study(CERTAIN, multiverse.SCALING, scaling_study.few_models([4, 8]))
    assert verdict_on(BY_STUDY["scaling"], few).startswith(
        "cannot tell, because a trend needs 5 models or more, and this ladder has 2"
    )
    enough = study(CERTAIN, multiverse.SCALING, scaling_study.few_models([4, 4, 8, 8, 16]))
    assert verdict_on(BY_STUDY["scaling"], enough).startswith("agrees with the paper")


def test_a_measure_that_the_paper_is_not_known_to_use_neither_agrees_nor_contradicts():
    for values in (CERTAIN, -CERTAIN):
        told = verdict_on(BY_STUDY["reverse_steering"], study(values))
        assert told.startswith("cannot tell, because which activations the paper's surge is measured on is not known")
    old = study(CERTAIN)
    del old.attrs["curve_p"]
    assert "of an earlier version" in verdict_on(BY_STUDY["localization"], old)


def test_questions_without_a_finding_of_the_paper_show_their_own_line():
    atlas = BY_STUDY["atlas"]
    assert verdict_on(atlas, study(CERTAIN * np.nan)) == "second"
    assert verdict_on(atlas, xr.Dataset(attrs={"summary": "Nothing to study"})) == "Nothing to study"


def test_a_second_seed_in_the_cache_joins_under_its_folders_name(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "cache_root", lambda: tmp_path)
    assert list(home.available_models()) == [*LADDER, SHUFFLED, UNTRAINED]
    from mllm_probe.models.bundled import bundled_folder

    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "scenes-4l-seed1").symlink_to(bundled_folder("scenes-4l"))
    unfinished = tmp_path / "seeds" / "scenes-16l-seed1"
    unfinished.mkdir()
    (unfinished / "config.json").write_text("{}")
    there = home.available_models()
    assert "scenes-16l-seed1" not in there, "a training that goes on has no record yet"
    assert "scenes-4l-seed1" in there and there["scenes-4l-seed1"]().name == "scenes-4l-seed1"


def test_what_is_there_is_not_run_again_and_models_that_know_nothing_say_so(tmp_path, monkeypatch, capsys):
    settings = {"processes": 1, "models": [UNTRAINED], "only": ["recognition_vs_reasoning"]}
    lines = home.run_bundled_studies(tmp_path / "work", tmp_path / "page.html", **settings)
    assert any("Nothing to study: of 4 concepts the model distinguishes and names none" in line for line in lines)
    assert "recognition_vs_reasoning in" in capsys.readouterr().err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What cannot be concluded" in page and "Nothing to study" in page
    monkeypatch.setattr(home, "run_job", lambda job: pytest.fail("it was run again"))
    assert home.run_bundled_studies(tmp_path / "work", tmp_path / "page.html", **settings) == lines
    assert capsys.readouterr().err == ""


def test_unknown_models_and_studies_are_named(capsys, tmp_path):
    assert main(["studies", "bundled", "--model", "scenes-5l", "--work", str(tmp_path)]) == WRONG_INPUT
    assert "there is no model 'scenes-5l' to study; there are scenes-4l" in capsys.readouterr().err
    assert main(["studies", "bundled", "--only", "surge", "--work", str(tmp_path)]) == WRONG_INPUT
    assert "there is no study 'surge' to study" in capsys.readouterr().err


def test_a_second_seed_is_trained_like_the_bundled_one_and_put_where_studies_find_it(tmp_path, monkeypatch):
    from training import model_training

    calls = []
    monkeypatch.setattr(bundled, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(model_training, "train_scenes", lambda *places, **options: calls.append((places, options)))
    model_training.train_listed("scenes-4l", seed=1)
    model_training.train_listed("scenes-8l", out=Path("here"))
    (places, options), (others, with_own_tower) = calls
    assert options["tower"] == "scenes-8l" and places[1] == bundled.seeds_folder() / "scenes-4l-seed1"
    assert with_own_tower["tower"] is None and others[1] == Path("here")
