"""Arguments of a steering, its controls and its words."""

import weakref

import numpy as np
import pytest
import torch

from mllm_probe.activations.hooks import attached
from mllm_probe.steering import Steering, compose, editing
from mllm_probe.steering.operations import OPERATIONS, random_direction
from mllm_probe.vectors.directions import directions_of
from tests.steering.reference import PROMPT, made_vectors


@pytest.fixture(scope="module")
def vectors(tiny):
    return made_vectors(tiny)


def changes(model, picture, row, layer):
    """What a row adds at a layer, and the activation before, at every position [tokens, hidden], on the host."""
    encoded = model.encode([picture], PROMPT)
    seen = []
    for steering in (None, row):
        with (
            editing(steering, model, encoded),
            attached(model, lambda n, h: seen.append(h[0].cpu().clone()), layers=[layer]),
        ):
            model.hf(**encoded.tensors)
    return seen[1] - seen[0], seen[0]


def test_operations_are_what_the_definitions_say():
    h, v, w = torch.tensor([3.0, 4.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    half, one = torch.tensor(0.5), torch.tensor(1.0)
    add, ablate, replace = (OPERATIONS[name] for name in ("add", "ablate", "replace"))
    assert add(h, v, torch.tensor(-2.0)).tolist() == [-2, 0, 0]
    assert ablate(h, v, one, negative=one).tolist() == [-2, 0, 0]
    assert ((h + ablate(h, v, one, negative=one)) @ v).item() == 1
    assert ablate(h, v, half, negative=one).tolist() == [-1, 0, 0]
    assert replace(h, v, one, negative=one, to=w).tolist() == [-2, 0, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"strength": 1.5},
        {"strength": -0.5, "unit": "vector"},
        {"strength": 1.0, "operation": "ablate"},
        {"strength": 0.4, "operation": "replace"},
    ],
    ids=str,
)
def test_random_control_changes_as_much_as_the_concept_in_its_own_direction(tiny, pictures, vectors, options):
    if options.get("operation") == "replace":
        options = options | {"to": vectors.sel(concept="dog")}
    row = Steering(vectors.sel(concept="cat"), [1], tokens="all", **options)
    mine, _ = changes(tiny, pictures[0], row, 1)
    directions = []
    for seed, draw in ((0, 0), (0, 1), (0, 2), (1, 0)):
        control, _ = changes(tiny, pictures[0], row.control("random", seed=seed, draw=draw), 1)
        assert torch.allclose(control.norm(dim=-1), mine.norm(dim=-1), rtol=1e-3, atol=1e-5)
        edited = control[control.norm(dim=-1) > 1e-3]
        unit = edited / edited.norm(dim=-1, keepdim=True)
        expected = random_direction(seed, draw, tiny.hidden_size)
        assert torch.allclose((unit @ expected).abs(), torch.ones(len(unit)), atol=1e-4)
        directions.append(unit[-1])
    first, opposite, *others = directions
    assert torch.allclose(first, -opposite, atol=1e-5)
    assert max(abs(float(a @ b)) for a in (first, *others) for b in (first, *others) if a is not b) < 0.9


def test_a_control_has_one_direction_at_every_layer(tiny, pictures, vectors):
    for kind in ("random", "on_manifold"):
        found = []
        for layer in (0, 2):
            row = Steering(vectors.sel(concept="cat"), [layer], 1.0, tokens="last_prompt").control(kind, seed=3, draw=2)
            change, _ = changes(tiny, pictures[0], row, layer)
            found.append(change[-1] / change[-1].norm())
        assert torch.allclose(*found, atol=1e-5) == (kind == "random")


def test_an_on_manifold_control_is_a_random_sum_of_deviations_of_activations(tiny, pictures, vectors):
    cat = vectors.sel(concept="cat")
    kept = torch.from_numpy(cat.manifold.sel(layer=1, scope="image").transpose("manifold_sample", "hidden").values)
    row = Steering(cat, [1], 1.0, tokens="image")
    image = (tiny.encode([pictures[0]], PROMPT).roles == 1)[0]
    mine, _ = changes(tiny, pictures[0], row, 1)
    for draw in (0, 1, 35):
        change, _ = changes(tiny, pictures[0], row.control("on_manifold", seed=5, draw=draw), 1)
        weights = torch.from_numpy(np.random.default_rng([5, draw // 2]).standard_normal(len(kept))).float()
        expected = (weights @ kept) * (-1) ** draw
        expected = expected / expected.norm() * mine[image].norm(dim=-1, keepdim=True)
        assert torch.allclose(change[image], expected, atol=1e-4)


def test_an_orthogonal_control_is_the_random_one_without_the_concepts_own_direction(tiny, pictures, vectors):
    row = Steering(vectors.sel(concept="cat"), [1], 1.5, tokens="last_prompt")
    own = row.directions.unit("last_prompt", 1).cpu()
    mine, _ = changes(tiny, pictures[0], row, 1)
    for draw in (0, 1, 6):
        change, _ = changes(tiny, pictures[0], row.control("orthogonal", seed=5, draw=draw), 1)
        drawn = random_direction(5, draw, len(own))
        assert abs(drawn @ own) > 0.01, "a random direction has a component along the concept"
        assert abs(change[-1] @ own) < 1e-4 * change[-1].norm()
        assert torch.allclose(change[-1].norm(), mine[-1].norm(), rtol=1e-4), "of the concept's size"
        rest = drawn - (drawn @ own) * own
        assert torch.allclose(change[-1] / change[-1].norm(), rest / rest.norm(), atol=1e-5)
    dog = Steering(vectors.sel(concept="dog"), [1], 1.5).control("orthogonal", seed=5).direction("last_prompt", 1)
    cat = row.control("orthogonal", seed=5).direction("last_prompt", 1)
    assert not torch.allclose(dog, cat, atol=1e-4), "each concept has its own"


def test_controls_need_vectors_that_carry_them(vectors):
    bare = vectors.drop_vars(["manifold", "shuffled"]).drop_dims(["draw", "manifold_sample"], errors="ignore")
    for kind, hint in (("on_manifold", "two images or more"), ("shuffled", "shuffled_draws=8")):
        with pytest.raises(ValueError, match=rf"no {kind} draw 0 of 'cat': the vectors carry 0.*{hint}"):
            Steering(bare.sel(concept="cat"), [1]).control(kind)


def test_random_control_in_residual_units_does_not_know_the_concept(tiny, pictures, vectors):
    rows = [Steering(vectors.sel(concept=name), [2], 1.0, tokens="all").control("random") for name in ("cat", "dog")]
    (cat, _), (dog, _) = (changes(tiny, pictures[0], row, 2) for row in rows)
    assert torch.equal(cat, dog)


def test_random_directions_are_isotropic_and_their_own():
    drawn = torch.stack([random_direction(s, 2 * d, 256) for s in range(4) for d in range(32)])
    assert torch.allclose(drawn.norm(dim=-1), torch.ones(len(drawn)))
    cosines = (drawn @ drawn.T).fill_diagonal_(0).abs()
    assert cosines.max() < 0.35
    assert cosines.mean() < 0.06
    assert torch.equal(random_direction(1, 3, 256), -random_direction(1, 2, 256))


def test_shuffled_control_uses_its_draw(tiny, pictures, vectors):
    cat = vectors.sel(concept="cat")
    row = Steering(cat, [1], 1.0, tokens="image")
    change, _ = changes(tiny, pictures[0], row.control("shuffled", draw=1), 1)
    image = (tiny.encode([pictures[0]], PROMPT).roles == 1)[0]
    drawn = torch.from_numpy(cat.shuffled.sel(layer=1, scope="image").isel(draw=1).values)
    expected = float(cat.residual_norm.sel(layer=1, scope="image")) * drawn / drawn.norm()
    assert torch.allclose(change[image], expected.expand(16, -1), atol=1e-4)
    ablated = Steering(cat, [1], 1.0, tokens="image", operation="ablate")
    mine, _ = changes(tiny, pictures[0], ablated, 1)
    change, _ = changes(tiny, pictures[0], ablated.control("shuffled", draw=1), 1)
    expected = mine[image].norm(dim=-1, keepdim=True) * drawn / drawn.norm()
    assert torch.allclose(change[image].abs(), expected.abs(), atol=1e-4)


def test_a_position_without_a_vector_of_its_scope_uses_another_and_the_receipt_says_so(tiny, pictures, vectors):
    one = vectors.sel(concept="cat", scope="last_prompt")
    one["residual_norm_at_image"] = ("layer", np.full(len(tiny.layers), 7.0))
    row = Steering(one, [1], 1.0, tokens="image")
    encoded = tiny.encode([pictures[0]], PROMPT)
    with editing(row, tiny, encoded) as receipt:
        tiny.hf(**encoded.tensors)
    assert receipt[0].scopes_differ and "vector from another scope" in str(receipt)
    change, _ = changes(tiny, pictures[0], row, 1)
    v = torch.from_numpy(one.vector.sel(layer=1).values)
    image = (encoded.roles == 1)[0]
    assert torch.allclose(change[image], (7 * v / v.norm()).expand(16, -1), atol=1e-4)
    with editing(Steering(vectors.sel(concept="cat"), [1], 1.0, tokens="image"), tiny, encoded) as receipt:
        tiny.hf(**encoded.tensors)
    assert not receipt[0].scopes_differ


def test_layers_in_all_forms(vectors):
    cat = vectors.sel(concept="cat")
    assert Steering(cat, -1).layers == (3,)
    assert Steering(cat, "all").layers == (0, 1, 2, 3)
    assert Steering(cat, range(1, 3)).layers == (1, 2)
    assert Steering(cat.isel(layer=[1, 3]), [-1]).layers == (3,)
    assert Steering(cat.sel(layer=2), [2]).layers == (2,)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"layers": [4]}, r"no vector of 'cat' at layer 4; there are vectors at 0, 1, 2, 3"),
        ({"layers": "some"}, r"layers: expected 'all', a number or a list"),
        ({"layers": []}, r"layers: expected 'all', a number or a list"),
        ({"strength": float("nan")}, r"strength: expected a finite number; got nan"),
        ({"strength": "much"}, r"strength: expected a number; got 'much'"),
        ({"strength": 2.0, "operation": "ablate"}, r"'ablate' takes a fraction between 0 and 1; got 2"),
        ({"unit": "norm"}, r"unit: expected one of residual, vector, raw; got 'norm'"),
        (
            {"operation": "rotate"},
            r"operation: expected one of add, ablate, replace, an mp.Operation, or a function .*got 'rotate'",
        ),
        (
            {"operation": "replace"},
            r"'replace' needs to=.*; only 'replace' takes it. Got operation 'replace' with to=None",
        ),
        ({"tokens": "picture"}, r"tokens: expected one or several of last_prompt, generated, image.*; got 'picture'"),
        ({"tokens": []}, r"tokens: expected one or several of"),
        ({"tokens": ["image", 3]}, r"tokens: expected one or several of"),
        ({"tokens": np.zeros((2, 2), bool)}, r"the patch mask selects no patch"),
        ({"kind": "shuffled", "draw": 2}, r"no shuffled draw 2 of 'cat': the vectors carry 2.*shuffled_draws"),
        ({"kind": "other"}, r"kind: expected one of concept, random, on_manifold, shuffled, orthogonal"),
        ({"seed": -1}, r"seed: expected 0 or more"),
    ],
    ids=str,
)
def test_wrong_arguments_say_what_was_expected(vectors, options, text):
    with pytest.raises(ValueError, match=text):
        Steering(vectors.sel(concept="cat"), **({"layers": [1]} | options))


def test_wrong_vectors_say_what_was_expected(tiny, pictures, vectors):
    with pytest.raises(ValueError, match=r"expected the vectors of one concept, got 2 \(cat, dog …\): select one"):
        Steering(vectors, [1])
    with pytest.raises(ValueError, match="expected a dataset of vectors.*got DataArray"):
        Steering(vectors.vector, [1])
    with pytest.raises(ValueError, match="lacks variable 'vector'"):
        Steering(vectors[["shuffled"]].sel(concept="cat"), [1])
    cat = vectors.sel(concept="cat").copy(deep=True)
    cat["vector"].loc[{"layer": 1, "scope": "image"}] = 0
    encoded = tiny.encode([pictures[0]], PROMPT)
    with pytest.raises(ValueError, match="vector of 'cat' at layer 1, scope image has length 0"):
        editing(Steering(cat, [1], tokens="image"), tiny, encoded).__enter__()
    editing(Steering(cat, [1], tokens="text"), tiny, encoded).__enter__()
    bare = vectors.sel(concept="cat").drop_vars("residual_norm")
    with pytest.raises(ValueError, match=r"needs the residual norm of image positions at layer 1.*images="):
        editing(Steering(bare, [1], tokens="image"), tiny, encoded).__enter__()
    with pytest.raises(ValueError, match="compose expects one or more steerings; got str"):
        compose(Steering(bare, [1]), "cat")
    with pytest.raises(ValueError, match="compose expects one or more steerings; got none"):
        compose()


def test_words_for_a_person(vectors):
    cat, dog = vectors.sel(concept="cat"), vectors.sel(concept="dog")
    row = Steering(cat, [1, 2], -1.5)
    assert str(row) == "cat, layers 1, 2, -1.5 residual, last_prompt+generated"
    assert repr(row) == f"<Steering {row}>"
    assert row.control("random", seed=3, draw=2).label == "random (seed 3, draw 2) for cat"
    assert row.control("shuffled", draw=1).label == "shuffled (draw 1) for cat"
    swap = Steering(cat, [0], 0.5, operation="replace", to=dog, tokens=[3, -1])
    assert str(swap) == "cat → dog, layers 0, replace 0.5, positions 3, -1"
    both = compose(row, compose(swap))
    assert both.parts == (row, swap) and both.label == "cat + cat" and "; " in repr(both)
    parts = both.control("random", seed=4).parts
    assert [p.kind for p in parts] == ["random", "random"] and parts[0].seed == 4 and parts[1].seed != 4


def test_parsed_vectors_follow_the_dataset(vectors):
    cat = vectors.sel(concept="cat").copy(deep=True)
    first = directions_of(cat)
    assert directions_of(cat) is first
    cat["vector"] = cat.vector * 2
    assert directions_of(cat).length("image", 1) == pytest.approx(2 * first.length("image", 1))
    gone = weakref.ref(cat)
    del cat
    assert gone() is None
