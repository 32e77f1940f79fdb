"""Concepts told in sentences: contrasting prompts without an image."""

import pytest

import mllm_probe as mp
from mllm_probe.concepts.sentences import TEMPLATES, sentences_about
from tests.zoo import tiny_llava


@pytest.fixture(scope="module")
def drawn():
    """Concepts whose names a tiny model knows."""
    return mp.concepts.from_text(mp.concepts.scenes(concepts=["cat", "house", "awe", "sadness"], pairs=1))


@pytest.fixture(scope="module")
def library():
    return mp.concepts.from_text(mp.concepts.emoji(concepts=["octopus", "scissors", "sad", "happy"], pairs=2))


def test_pairs_differ_in_the_concept_alone(library):
    for name, other in (("octopus", "scissors"), ("sad", "happy")):
        concept = library[name]
        assert concept.paired and len(concept.positive) == len(TEMPLATES[concept.category]) == 6
        for template, one, another in zip(TEMPLATES[concept.category], concept.positive, concept.negative, strict=True):
            said = {"octopus": "an octopus", "scissors": "scissors"}
            assert one.source.text == template.format(said.get(name, name))
            assert another.source.text == template.format(said.get(other, other))
            assert one.labels == {name} and one.pair == another.pair


def test_words_and_categories_are_those_of_the_library(library):
    images = mp.concepts.emoji(concepts=["octopus", "scissors", "sad", "happy"], pairs=2)
    assert {name: (c.category, c.words) for name, c in library.items()} == {
        name: (c.category, c.words) for name, c in images.items()
    }
    assert library["sad"].positive[0].source.text == "The mood of the picture is sad."


def test_split_divides_the_sentences(library):
    fit, held_out = library.split()
    assert list(fit) == list(held_out) == list(library)
    texts = [{p.source.text for p in side["octopus"].positive} for side in (fit, held_out)]
    assert len(texts[0]) == len(texts[1]) == 3 and not texts[0] & texts[1]


def test_vectors_are_made_of_the_prompt_after_the_sentence(drawn):
    model = tiny_llava()
    vectors = mp.concept_vectors(model, drawn, "What is it?", tokens="last_prompt", probe_accuracy=False)
    texts = [f"{p.source.text} What is it?" for side in ("positive", "negative") for p in getattr(drawn["cat"], side)]
    read = mp.capture(model, [[]] * 12, texts, tokens="last_prompt").activation.torch.tensor.float()
    expected = read[:6].mean(0) - read[6:].mean(0)
    found = vectors.vector.sel(concept="cat", scope="last_prompt").torch.tensor
    assert (found - expected[:, 0]).abs().max() < 1e-4 * expected.abs().max() + 1e-5
    assert "fit_image" not in vectors.coords


def test_images_are_not_called_unlike_sentences(drawn, recwarn):
    model = tiny_llava()
    vectors = mp.concept_vectors(model, drawn, tokens="last_prompt", probe_accuracy=False)
    image = mp.concepts.scenes(concepts=["cat"], pairs=1)["cat"].positive[0]
    steering = mp.Steering(vectors.sel(concept="cat"), [0], 1.0)
    mp.generate(model, image, steering=steering, max_new_tokens=2)
    assert not [one for one in recwarn if "unlike" in str(one.message)]


def test_a_sentence_cannot_be_steered_on_or_shown(drawn):
    model = tiny_llava()
    vectors = mp.concept_vectors(model, drawn, tokens="last_prompt", probe_accuracy=False)
    with pytest.raises(ValueError, match="is a sentence in place of an image"):
        mp.sweep(model, vectors, drawn, strengths=(1,), progress=False)
    with pytest.raises(ValueError, match="is a sentence in place of an image"):
        _ = drawn["awe"].positive[0].image
    assert "The mood of the picture is awe." in drawn._repr_html_()
    assert drawn["awe"].positive[0]._repr_png_() is None
    assert "'The mood of the picture is awe.'" in repr(drawn["awe"].positive[0])


def test_a_mapping_says_what_sentences_say():
    told = mp.concepts.from_text({"lack": "nobody", "crowd": "a crowd"}, "abstract", templates=["{} is there."])
    assert told["lack"].category == "abstract" and told["lack"].words == ("lack",)
    assert [p.source.text for p in told["lack"].pictures] == ["nobody is there.", "a crowd is there."]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (({"cat": "a cat"},), ValueError, "'cat' is the only concept of its category"),
        ((["cat", "dog"],), TypeError, "expected a concept library, or a mapping"),
        (({"cat": "a cat", "sad": "sad"}, {"cat": "entity"}), ValueError, "category lacks 'sad'"),
        ((mp.concepts.scenes(concepts=["cat", "house"], pairs=1), "entity"), TypeError, "a library's concepts have"),
    ],
)
def test_what_cannot_be_told(arguments, error, message):
    with pytest.raises(error, match=message):
        mp.concepts.from_text(*arguments)


def test_a_template_needs_a_place_for_the_concept():
    with pytest.raises(ValueError, match=r"templates with \{\}"):
        mp.concepts.from_text({"cat": "a cat", "dog": "a dog"}, templates=["a picture"])


def test_sentences_deny_a_concept_without_its_article():
    assert sentences_about("octopus", "entity") == tuple(text.format("an octopus") for text in TEMPLATES["entity"])
    assert "There is no octopus in the picture." in sentences_about("octopus", "entity", denied=True)
    assert sentences_about("neon", "visual_style", denied=True)[0] == "The style of the picture is not neon."
    assert sentences_about("order", "abstract", denied=True)[0] == "There is no order in the picture."
