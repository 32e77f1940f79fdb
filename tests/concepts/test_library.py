import hashlib
import html
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts import Concept, ConceptLibrary, Picture


def picture(value, **facts):
    return Picture(Image.new("RGB", (4, 4), (value % 256, value // 256, 7)), **facts)


def concept(name, start, count=8, paired=True, category="entity"):
    positive = [picture(start + i, pair=i if paired else None) for i in range(count)]
    negative = [picture(start + 500 + i, pair=i if paired else None) for i in range(count)]
    return Concept(name, category, (name,), positive, negative, paired)


def keys(pictures):
    return {picture.key for picture in pictures}


@pytest.fixture(scope="module")
def drawn():
    return mp.concepts.scenes(concepts=["cat", "neon", "awe", "order", "left"], pairs=6, size=64)


def test_drawn_pairs_show_the_concept_on_one_side_only(drawn):
    for name, concept in drawn.items():
        assert concept.paired and len(concept.positive) == len(concept.negative) == 6
        for with_it, without in zip(concept.positive, concept.negative, strict=True):
            assert name in with_it.labels and name not in without.labels
            assert with_it.pair == without.pair and with_it.id != without.id


def test_drawn_pictures_are_the_same_every_time_and_differ_by_seed(drawn):
    again = mp.concepts.scenes(concepts=list(drawn), pairs=6, size=64)
    other = mp.concepts.scenes(concepts=list(drawn), pairs=6, size=64, seed=1)
    assert again.fingerprint == drawn.fingerprint != other.fingerprint
    assert np.array_equal(np.array(again["cat"].positive[2].image), np.array(drawn["cat"].positive[2].image))
    assert not keys(p for c in drawn.values() for p in c.pictures) & keys(p for c in other.values() for p in c.pictures)


def test_remove_leaves_the_slot_empty():
    neon = mp.concepts.scenes(negative="remove", concepts=["neon"], pairs=3, size=64)["neon"]
    styles = {"sketch", "pixelated", "dotted", "hatched", "blueprint", "neon", "silhouette", "cartoon"}
    assert all(not picture.labels & styles for picture in neon.negative)


def test_all_drawn_concepts_are_there_in_five_categories():
    library = mp.concepts.scenes(pairs=1)
    assert len(library) == 48
    assert library.categories == ("entity", "visual_style", "emotion", "abstract", "relation")


def test_a_picture_in_memory_and_its_id():
    one, same, other = picture(3), picture(3), picture(4)
    assert one.id == same.id == one.key and one.id != other.id
    assert Image.open(__import__("io").BytesIO(one._repr_png_())).size == (4, 4)


def test_a_picture_takes_labels_and_pairs_as_other_libraries_have_them():
    one = picture(3, labels={"cat", np.str_("awe")}, pair=np.int64(2))
    assert one.labels == frozenset({"cat", "awe"}) and isinstance(one.labels, frozenset)
    assert one.pair == 2 and type(one.pair) is int and {type(name) for name in one.labels} == {str}
    assert picture(3, labels=["cat"]).labels == {"cat"} and picture(3, labels=[]).labels == frozenset()


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"labels": "cat"}, r"labels: expected names of concepts, such as {'cat'}, or None; got 'cat'"),
        ({"labels": [3]}, r"labels: expected names of concepts, such as {'cat'}, or None; got \[3\]"),
        ({"labels": 3}, "labels: expected names of concepts"),
        ({"pair": 1.5}, "pair: expected a whole number, such as 1; got 1.5"),
        ({"pair": "a"}, "pair: expected a whole number"),
    ],
)
def test_labels_and_pairs_that_are_none_are_refused_where_the_picture_is_made(facts, text):
    with pytest.raises(ValueError, match=text):
        picture(3, **facts)


def test_a_picture_says_what_it_is_in_one_line(drawn):
    one = drawn.split()[0]["cat"].positive[0]
    assert repr(one).startswith("<Picture: drawing; shows ") and "cat" in repr(one) and repr(one).endswith("; fit>")
    assert repr(Picture(Image.new("RGB", (2, 2)))) == "<Picture: image>"


def test_split_keeps_pairs_together_and_covers_everything(drawn):
    fit, held_out = drawn.split(fit=0.5, seed=3)
    for name in drawn:
        sides = [{p.pair for p in part[name].positive} for part in (fit, held_out)]
        assert [{p.pair for p in part[name].negative} for part in (fit, held_out)] == sides
        assert sides[0] | sides[1] == set(range(6)) and not sides[0] & sides[1] and len(sides[0]) == 3
        assert all(p.split == "fit" for p in fit[name].pictures)
        assert all(p.split == "held_out" for p in held_out[name].pictures)
    assert not keys(fit.pictures) & keys(held_out.pictures)


def test_split_is_decided_by_its_seed(drawn):
    first, again, other = ([p.pair for p in drawn.split(seed=seed)[0]["cat"].positive] for seed in (0, 0, 5))
    assert first == again != other


def test_a_picture_shared_by_concepts_falls_on_one_side():
    pool = [picture(i) for i in range(24)]
    names = ("awe", "fear", "anger")
    shared = ConceptLibrary(
        Concept(
            name,
            "emotion",
            (name,),
            pool[8 * i : 8 * i + 8],
            [p for p in pool if p not in pool[8 * i : 8 * i + 8]],
            False,
        )
        for i, name in enumerate(names)
    )
    for seed in range(5):
        fit, held_out = shared.split(fit=0.5, seed=seed)
        assert not keys(fit.pictures) & keys(held_out.pictures)
        assert [len(fit[name].positive) for name in names] == [4, 4, 4]


def test_pairs_that_share_a_negative_stay_together():
    common = [picture(900 + i) for i in range(2)]
    chained = Concept(
        "cat", "entity", ("cat",), [picture(i) for i in range(6)], [common[i // 3] for i in range(6)], True
    )
    fit, held_out = ConceptLibrary([chained]).split()
    assert len(fit["cat"].positive) == len(held_out["cat"].positive) == 3
    assert not keys(fit.pictures) & keys(held_out.pictures)


def test_what_cannot_be_split_says_so():
    with pytest.raises(ValueError, match="concept 'cat' cannot be split.*Give more images"):
        ConceptLibrary([concept("cat", 0, count=1)]).split()
    with pytest.raises(ValueError, match="between 0 and 1, not 1.5"):
        ConceptLibrary([concept("cat", 0)]).split(fit=1.5)


def test_split_keeps_given_groups_together(drawn):
    alone = ConceptLibrary([concept("cat", 0, count=12, paired=False)])
    by_number = alone.split(groups=lambda picture: picture.image.getpixel((0, 0))[0] % 3)
    by_id = alone.split(groups={p.id: p.image.getpixel((0, 0))[0] % 3 for p in alone["cat"].pictures})
    for fit, held_out in (by_number, by_id):
        sides = [{p.image.getpixel((0, 0))[0] % 3 for p in part["cat"].pictures} for part in (fit, held_out)]
        assert sides[0] | sides[1] == {0, 1, 2} and not sides[0] & sides[1]
        assert {p.group for p in fit["cat"].pictures} <= {"0", "1", "2"}
    with pytest.raises(ValueError, match="cannot be split: .* form 1 independent group.*smaller groups"):
        alone.split(groups=lambda picture: "same")
    assert alone.split(groups=lambda picture: None)[0].fingerprint == alone.split()[0].fingerprint


def test_groups_join_pictures_across_concepts_and_pairs():
    marked = [Picture(p.source, pair=p.pair, group=str(p.pair // 2)) for p in concept("cat", 0).positive]
    paired = Concept("cat", "entity", ("cat",), marked, concept("cat", 0).negative, True)
    other = Concept("dog", "entity", ("dog",), marked[:6], concept("dog", 60, 6).negative, True)
    for seed in range(4):
        fit, held_out = ConceptLibrary([paired, other]).split(seed=seed)
        names = [{p.group for c in part.values() for p in c.positive} for part in (fit, held_out)]
        assert not names[0] & names[1] and len(fit["cat"].positive) == 4


def test_a_group_does_not_cost_the_hash_of_libraries_without_any():
    plain = ConceptLibrary([concept("cat", 0, count=2)])
    content = [
        ["cat", "entity", ("cat",), True, *([p.key for p in s] for s in (plain["cat"].positive, plain["cat"].negative))]
    ]
    assert plain.fingerprint == hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def test_a_concept_and_a_library_are_shown_in_one_line():
    one = Concept(
        "cat", "Pets", [f"w{i}" for i in range(9)], concept("cat", 0).positive, concept("cat", 0).negative, True
    )
    assert repr(one) == (
        "<Concept 'cat' (Pets): 8 images with it, 8 without, in pairs; words: w0, w1, w2, w3, w4, w5, …>"
    )
    assert repr(ConceptLibrary([one], "x")) == "<ConceptLibrary of 1 concept from x: 1 Pets>"


@pytest.mark.parametrize(
    ("name", "category", "words", "text"),
    [
        ("cat", "entity", "cat", r"words is a list, not one string: write \['cat'\]"),
        ("cat", "entity", [3], r"needs at least one word.*got \(3,\)"),
        ("cat", "entity", ["a\0"], "control character"),
        ("", "entity", ["cat"], "name of a concept: expected at least one visible character"),
        (5, "entity", ["cat"], "name of a concept: expected text; got int 5"),
        ("cat", " ", ["cat"], "category: expected at least one visible character"),
        ("cat", "\x1b", ["cat"], "category '\\\\x1b' holds the control character"),
        ("x" * 256, "entity", ["cat"], "has 256 characters; at most 255"),
    ],
)
def test_names_words_and_categories_are_checked(name, category, words, text):
    with pytest.raises(ValueError, match=text):
        Concept(name, category, words, [picture(1)], [picture(2)], False)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"pairs": 10**6},
            "pairs of each concept: at most 50,000, not 1,000,000: 50,000 pairs of all concepts together",
        ),
        ({"pairs": 2.5}, "pairs of each concept: expected a whole number of at least 1, not 2.5"),
        ({"pairs": True}, "expected a whole number of at least 1, not True"),
        ({"seed": "x"}, "seed: expected a whole number of at least 0, not 'x'"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, not -1"),
        ({"size": 10**6}, "size in pixels: at most 4,096, not 1,000,000"),
        ({"size": 1}, "size in pixels: expected a whole number of at least 16, not 1"),
    ],
)
def test_numbers_of_drawn_scenes_are_checked(given, text):
    with pytest.raises(ValueError, match=text):
        mp.concepts.scenes(concepts=["cat"], **given)
    assert mp.concepts.scenes(concepts=["cat"], pairs=1, seed=2**70)


def test_subset_by_name_category_and_number(drawn):
    assert list(drawn.subset(["order", "cat"])) == ["order", "cat"]
    assert list(drawn.subset(categories=["VisualStyle", "relation"])) == ["neon", "left"]
    assert len(drawn.subset(pairs=2)["cat"].positive) == 2
    with pytest.raises(KeyError, match=r"unknown concept 'CTA' \(did you mean 'cat'\?\); there are cat, neon, "):
        drawn.subset(["CTA"])
    with pytest.raises(ValueError, match="unknown category 'smell'; there are entity, visual_style"):
        drawn.subset(categories=["smell"])
    with pytest.raises(ValueError, match="has 6 pairs of images; pairs=7"):
        drawn.subset(pairs=7)
    with pytest.raises(ValueError, match="not one string"):
        drawn.subset("cat")


def test_pictures_come_once_each():
    pool = [picture(i) for i in range(4)]
    library = ConceptLibrary(
        [Concept(n, "entity", (n,), pool[:2] if n == "cat" else pool[2:], pool, False) for n in ("cat", "key")]
    )
    assert [p.id for p in library.pictures] == [p.id for p in pool]


def test_fingerprint_sees_words_and_pictures():
    base = ConceptLibrary([concept("cat", 0)])
    words = ConceptLibrary(
        [Concept("cat", "entity", ("cat", "kitten"), base["cat"].positive, base["cat"].negative, True)]
    )
    pictures = ConceptLibrary([concept("cat", 1)])
    assert len({base.fingerprint, words.fingerprint, pictures.fingerprint}) == 3
    assert ConceptLibrary([concept("cat", 0)]).fingerprint == base.fingerprint


def test_html_shows_names_as_text_not_as_markup():
    evil = "<script>alert(1)</script>"
    page = ConceptLibrary([concept(evil, 0, count=1)])._repr_html_()
    assert "<script>" not in page and html.escape(evil) in page and page.count("data:image/png;base64,") == 2


def test_unknown_concepts_and_wrong_classes_raise():
    library = ConceptLibrary([concept("cat", 0)])
    with pytest.raises(KeyError, match="unknown concept 'dog'; there are cat"):
        library["dog"]
    with pytest.raises(ValueError, match="the drawn world|unknown concept 'dog'"):
        mp.concepts.scenes(concepts=["dog"])
    with pytest.raises(ValueError, match="has no negative images"):
        Concept("cat", "entity", ("cat",), [picture(1)], [], False)
    with pytest.raises(ValueError, match="paired but has 2 positive and 1 negative"):
        Concept("cat", "entity", ("cat",), [picture(1), picture(2)], [picture(3)], True)
    with pytest.raises(ValueError, match="at least one word"):
        Concept("cat", "entity", (), [picture(1)], [picture(2)], True)
    with pytest.raises(ValueError, match="two concepts are called 'cat'"):
        ConceptLibrary([concept("cat", 0), concept("cat", 50)])
    with pytest.raises(ValueError, match='"replace" or "remove"'):
        mp.concepts.scenes(negative="other", concepts=["cat"], pairs=1)
    with pytest.raises(ValueError, match="of at least 1, not 0"):
        mp.concepts.scenes(pairs=0)
    with pytest.raises(ValueError, match="not one string"):
        mp.concepts.scenes(concepts="cat")


def test_bytes_that_are_no_picture_raise():
    with pytest.raises(ValueError, match="11 bytes cannot be read as an image"):
        _ = Picture(b"not a photo").image


def sides(library, **options):
    return {p.key: p.split for side in library.split(fixed=True, **options) for p in side.pictures}


def test_a_fixed_split_puts_an_image_on_one_side_whatever_else_is_in_the_library():
    whole = mp.concepts.scenes(concepts=["cat", "neon", "order"], pairs=16)
    some = whole.subset(concepts=["order", "cat"], pairs=9)
    every, few = sides(whole), sides(some)
    assert len(few) == 36 and all(every[key] == side for key, side in few.items())
    assert sides(whole, seed=1) != every
    shares = [side == "fit" for side in sides(mp.concepts.scenes(concepts=["cat"], pairs=200), fit=0.25).values()]
    assert np.mean(shares) == pytest.approx(0.25, abs=0.08)
    for side in whole.split(fixed=True):
        assert all(a.pair == b.pair for one in side.values() for a, b in one.units)


def test_a_fixed_split_keeps_pairs_of_one_source_together_whichever_styles_are_there():
    def drawn(value):
        return Image.new("RGB", (4, 4), (value, 0, 0))

    source = [Picture(drawn(n)) for n in range(12)]
    styles = [
        Concept(name, "visual_style", (name,), [Picture(drawn(start + n)) for n in range(12)], source, paired=True)
        for name, start in (("neon", 50), ("sketch", 100))
    ]
    both = sides(ConceptLibrary(styles))
    for some in (styles[:1], styles[1:], styles[::-1]):
        assert all(both[key] == side for key, side in sides(ConceptLibrary(some)).items())


def test_a_fixed_split_that_leaves_a_side_empty_says_so():
    with pytest.raises(ValueError, match="concept 'cat' cannot be split"):
        mp.concepts.scenes(concepts=["cat"], pairs=2).split(0.001, fixed=True)


def test_equal_n_thins_larger_classes_by_hash():
    cat, neon = (mp.concepts.scenes(concepts=[name], pairs=pairs)[name] for name, pairs in (("cat", 9), ("neon", 4)))
    thin = ConceptLibrary([cat, neon]).equal_n()
    assert [len(side) for one in thin.values() for side in (one.positive, one.negative)] == [4] * 4
    assert all(a.pair == b.pair for a, b in thin["cat"].units)
    kept = [p.key for p in thin["cat"].positive]
    assert kept == [p.key for p in cat.positive if p.key in kept], "in their order"
    again = ConceptLibrary([replace(cat, positive=cat.positive[::-1], negative=cat.negative[::-1]), neon]).equal_n()
    assert {p.key for p in again["cat"].positive} == set(kept), "the order of the library does not decide"
    assert {p.key for p in ConceptLibrary([cat, neon]).equal_n(seed=1)["cat"].positive} != set(kept)


def test_a_library_with_its_split_marked_is_the_two_sides_together(drawn):
    marked = drawn.with_split(fit=0.5, seed=3)
    for side, part in zip(("fit", "held_out"), drawn.split(fit=0.5, seed=3), strict=True):
        for name in drawn:
            assert [p.key for p in marked[name].positive if p.split == side] == [p.key for p in part[name].positive]
    assert marked.fingerprint == drawn.fingerprint
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        drawn.with_split(fit=1)
