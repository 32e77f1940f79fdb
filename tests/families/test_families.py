"""Tiny random models of many families pass every check of ``verify`` that applies to them."""

from __future__ import annotations

import pytest
import torch
import transformers
from packaging.version import Version

from mllm_probe.loading import Outcome, wrap
from mllm_probe.loading.model_list import verified_families
from mllm_probe.typing import JsonObject
from tests.conftest import put
from tests.zoo import FAMILIES, build
from tests.zoo.family_survey import SHRUNK, Row, family_names, survey
from tests.zoo.library_faults import expect_library_fault
from tests.zoo.table import as_json

CROSS_ATTENTION = {"mllama", "idefics", "florence2"}
SHRUNK_VERIFIED = {
    "cosmos3_edge", "cosmos3_omni", "exaone4_5", "glm4v_moe", "glm_ocr", "glmga", "hyperclovax_vision_v2", "kosmos-2.5",
    "lfm3_vl", "llava_next_video", "minimax_m3_vl", "paddleocr_vl", "pp_chart2table", "qianfan_ocr", "shieldgemma2",
    "t5gemma2", "video_llava",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_family_is_verified(name: str, device: str) -> None:
    hf, inputs = build(FAMILIES[name])
    expect_library_fault(name, hf, inputs)
    report = put(wrap(hf, name=name), device).verify(inputs=inputs)
    assert report.passed, str(report)
    open_checks = {c.name for c in report.checks if c.outcome is Outcome.DOES_NOT_APPLY}
    assert open_checks <= ({"image tokens", "padding"} if name in CROSS_ATTENTION else set())
    assert all(c.detail for c in report.checks)


def test_the_kinds_that_matter_are_there() -> None:
    kinds = " ; ".join(one.kind for one in FAMILIES.values())
    for kind in ("M-RoPE", "DeepStack", "both directions", "cross-attention", "linear attention", "mixture of experts"):
        assert kind in kinds
    assert len(FAMILIES) >= 40


def test_the_same_seed_builds_the_same_model() -> None:
    first, again, other = (build(FAMILIES["llava"], seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


@pytest.fixture(scope="module")
def others() -> dict[str, Row]:
    return {row.family: row for row in survey(name for name in family_names() if name not in FAMILIES)}


def test_families_without_a_builder_are_made_small(others: dict[str, Row]) -> None:
    assert len(SHRUNK_VERIFIED - set(others)) < 4, "families that a release of Transformers does not have yet"
    assert {name for name, row in others.items() if row.verified} >= SHRUNK_VERIFIED & set(others)
    assert all(row.kind == SHRUNK for row in others.values())


def test_a_skipped_family_shows_the_exception(others: dict[str, Row]) -> None:
    skipped = [row for row in others.values() if not row.verified]
    assert skipped
    for row in skipped:
        kind, _, text = row.error.partition(": ")
        assert kind.isidentifier() and text, row
        assert "skipped" in str(row) and kind in str(row)


def test_an_unknown_family_is_refused() -> None:
    for ask in (lambda: next(survey(["nonesuch"])), lambda: verified_families(["nonesuch"])):
        with pytest.raises(ValueError, match="There is no family 'nonesuch'; there are aria, aya_vision"):
            ask()


def compare(table: JsonObject, measured: dict[str, JsonObject], version: str) -> list[str]:
    """Lines of what differs from the table; with its own version nothing may, with a later one no family may be lost.

    An older Transformers may lack what the table's has: its differences are only printed.
    """
    listed = {row["family"]: row for row in table["families"]}
    lines = [f"{name}: in one of the two alone" for name in sorted(listed.keys() ^ measured.keys())]
    both = sorted(listed.keys() & measured.keys())
    for name in both:
        for check in ("verified", *listed[name]["checks"]):
            was, now = (
                row["verified"] if check == "verified" else row["checks"].get(check)
                for row in (listed[name], measured[name])
            )
            if was != now:
                lines.append(f"{name}: {check} was {was}, is {now}")
    written_with = table["versions"]["transformers"]
    if version == written_with:
        assert not lines, f"python -m tests.zoo.table --write; {lines}"
    lost = [name for name in both if listed[name]["verified"] and not measured[name]["verified"]]
    assert not lost or Version(version) < Version(written_with), (
        f"verified with {written_with}, lost with {version}: {lost}"
    )
    return lines


def test_the_table_of_the_package_is_what_is_verified(others: dict[str, Row]) -> None:
    """Every check of every family with the version that the table was written with; with others, that none is lost."""
    measured = {row.family: as_json(row) for row in [*survey(FAMILIES), *others.values()]}
    print(*compare(verified_families(), measured, transformers.__version__), sep="\n")


def test_a_table_is_compared_by_the_version_that_wrote_it() -> None:
    def row(passed: bool) -> JsonObject:
        return {"family": "a", "verified": passed, "checks": {"edits": "passed" if passed else "FAILED"}}

    table = {"versions": {"transformers": "5.25.0"}, "families": [row(True)]}
    gained = {"versions": {"transformers": "5.25.0"}, "families": [row(False)]}
    assert compare(table, {"a": row(True)}, "5.25.0") == []
    for changed, measured in ((table, {"a": row(False)}), (gained, {"a": row(True)}), (table, {})):
        with pytest.raises(AssertionError, match="tests.zoo.table --write"):
            compare(changed, measured, "5.25.0")
    assert compare(gained, {"a": row(True)}, "5.30.0") == [
        "a: verified was False, is True",
        "a: edits was FAILED, is passed",
    ]
    with pytest.raises(AssertionError, match=r"verified with 5.25.0, lost with 5.30.0: \['a'\]"):
        compare(table, {"a": row(False)}, "5.30.0")
    assert compare(table, {"a": row(False)}, "5.21.0") and compare(table, {}, "5.30.0")
