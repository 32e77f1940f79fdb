"""The artwork: every sprite is there in every set, and the tables say what it is."""

import numpy as np
import pytest
from PIL import Image

from mllm_probe.emoji.emoji_drawing import styled_sprite
from mllm_probe.emoji.lexicon import (
    ART_SETS,
    COLOURED,
    COLUMNS,
    CONCEPTS,
    EMOTIONS,
    ENTITIES,
    FEELINGS,
    NOUNS,
    SIDE,
    STYLES,
    art_file,
    icon_facts,
    icons,
    icons_of,
    sheet_name,
    shown_by,
    split_list,
    sprite,
    table,
)

MOST_BYTES = 8_000_000


@pytest.mark.parametrize("style", [art.style for art in ART_SETS])
def test_every_sprite_of_every_set_shows_something_of_its_own(style):
    seen = {}
    for icon in icons():
        art = sprite(icon, style)
        assert art.shape == (SIDE, SIDE, 4) and art.dtype == np.uint8
        covered = (art[..., 3] > 128).mean()
        assert 0.02 < covered <= 1, icon
        seen.setdefault(art.tobytes(), []).append(icon)
    # Two icons may be drawn alike, if they show the same thing.
    for same in seen.values():
        assert len({shown_by(icon) for icon in same}) == 1, same


@pytest.mark.parametrize(
    "style", [style for style in STYLES if style not in ("pixelated", *(a.style for a in ART_SETS))]
)
@pytest.mark.parametrize("source", COLOURED)
def test_processed_sprites_have_lines_for_every_icon(style, source):
    for icon in icons()[::3]:
        assert (styled_sprite(icon, style, source)[..., 3] > 128).mean() > 0.02, icon


def test_facts_stand_in_the_order_of_the_sheets_and_name_each_code_point_once():
    assert tuple(icon_facts()) == icons()
    codes = [entry["code"] for entry in icon_facts().values()]
    assert len(set(codes)) == len(codes) == len(set(icons()))


def test_mean_colours_are_those_of_the_sheets():
    for icon in icons()[::37]:
        for style in COLOURED:
            art = sprite(icon, style).astype(float)
            mean = (art[..., :3] * art[..., 3:]).sum((0, 1)) / art[..., 3].sum()
            assert np.abs(mean - icon_facts()[icon]["colours"][style]).max() < 6, (icon, style)


def test_the_sheets_are_small_and_hold_no_more_than_the_tables_name():
    sizes = [len(art_file(sheet_name(art.style)).read_bytes()) for art in ART_SETS]
    assert sum(sizes) < MOST_BYTES
    for art in ART_SETS:
        with art_file(sheet_name(art.style)).open("rb") as file, Image.open(file) as image:
            rows = -(-len(icons()) // COLUMNS)
            assert image.size == (COLUMNS * SIDE, rows * SIDE)


def test_there_are_enough_nouns_and_faces():
    assert len(ENTITIES) >= 300 and len(EMOTIONS) >= 10
    assert all(len(FEELINGS[name].icons) >= 3 for name in EMOTIONS)
    assert {noun.use for noun in NOUNS.values()} == {"count", "mass", "plural", "unique", "name"}
    assert len(CONCEPTS) == len(ENTITIES) + len(STYLES) + len(EMOTIONS) + 8 + 6


def test_an_icon_shows_one_thing():
    shown = [icon for name in (*NOUNS, *FEELINGS) for icon in icons_of(name)]
    assert len(shown) == len(set(shown)) and set(shown) == set(icons())


def test_cldr_knows_the_icons_under_their_nouns_or_synonyms():
    """Nouns are common English; CLDR calls nearly all of them so, as name or keyword."""
    strange = []
    for noun in NOUNS.values():
        known = set()
        for icon in noun.icons:
            known |= {word.lower() for word in (icon_facts()[icon]["name"], *icon_facts()[icon]["keywords"])}
        spoken = {word for text in known for word in (text, *text.replace("-", " ").split())}
        own = {word.lower() for word in (noun.name, noun.plural, *noun.synonyms)}
        parts = {word for text in own for word in text.split()}
        if not (own | parts) & spoken:
            strange.append(noun.name)
    assert not strange


def test_no_word_names_two_concepts():
    owners = {}
    for concept in CONCEPTS.values():
        for word in concept.words:
            owners.setdefault(word.lower(), []).append(concept.name)
    assert not {word: names for word, names in owners.items() if len(set(names)) > 1}


def test_the_tables_hold_what_can_be_read():
    for name in ("entities.tsv", "faces.tsv"):
        for row in table(name):
            assert None not in row and None not in row.values(), row
            assert split_list(row["icons"]) and all(cell == cell.strip() for cell in row.values())
