"""Whether an answer that mentions a thing says that it is there: negation, doubt, comparison, questions.

A rule over the clause of the mention, without a parser, after NegEx (Chapman et al. 2001, J. Biomed. Inform. 34): cues
with a reach that some words end, and phrases that only look like cues. Its words are in `wording`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from mllm_probe.metrics import wording as w
from mllm_probe.metrics.wording import any_of, phrase

REACH = 3
"""Words between a negated verb and a mention at most."""
_PHRASE, _CLAUSE = 8, 14
"""Words over which the negation of a noun phrase, and that of a whole clause, go on at most."""
_FAR = 240
"""Characters before and after a mention that are read, so that a long answer costs no square of its length."""
_MOST_CUES = 8
"""Cues that are looked at, the nearest ones, for the same reason."""
_UNSPACED_FAR = 8
"""Letters between a negation and a mention at most in scripts without spaces."""

_I = re.IGNORECASE
_TOKEN = r"[\w'’-]+"
_CLAUSE_END = re.compile(r"[.!?](?=\s|$|[\"'”)*])|[;:()\n。！？；，]|\s[-–—]+\s|—")
_SENTENCE_END = re.compile(r"[.!](?=\s|$)|\?|[\n。！？]")
_ADJECTIVES = rf"(?:(?!(?:{any_of(w.ARTICLES + w.VERBS)})\b){_TOKEN}\s+){{0,2}}$"
_DEFINITE = re.compile(rf"\b{any_of(w.DEFINITE)}\s+{_ADJECTIVES}", _I)
_AT_DEFINITE = re.compile(rf"\b{any_of(w.PLACES)}\s+{any_of(w.DEFINITE)}\s+{_ADJECTIVES}", _I)
_AT_PLACE = re.compile(rf"\b{any_of(w.PLACES)}\s+(?:{any_of(w.ARTICLES)}\s+)?{_ADJECTIVES}", _I)
_LIST_ENDS = re.compile(rf"(?:,\s+{_TOKEN}(?:\s+{_TOKEN})?)*,?\s+{w.OR}\s", _I)
_LIST_ENDED = re.compile(rf"\b{w.OR}\s+(?:{_TOKEN}\s+){{0,2}}$", _I)


def asserted(text: str, start: int, stop: int, negations: tuple[str, ...]) -> bool:
    """Whether an answer says of the thing that it mentions that it is there.

    `text`: an answer. `start`, `stop`: characters of the mention, at least one of them. `negations`: words that negate
    a mention after them.
    """
    low = _clause_start(text, start)
    return not (
        _in_compound(text, start, stop)
        or _denied_after(text, low, start, stop)
        or _asked(text, start, stop)
        or _denied_before(text, low, start, stop, negations)
        or _denied_unspaced(text, low, start, stop)
    )


def _clause_start(text: str, start: int) -> int:
    far = max(0, start - _FAR)
    ends = [end.end() for end in _CLAUSE_END.finditer(text, far, start)]
    return ends[-1] if ends else far


# --- What stands at the mention or after it ---------------------------------------------------------------------------

_COMPOUND = re.compile(rf"[-‐‑]{any_of(w.COMPOUNDS)}\b", _I)
_PREFIX = re.compile(rf"(?<!\w){any_of(w.PREFIXES)}[-‐‑]$", _I)
_AFTER = re.compile(rf"{any_of(w.BETWEEN)}{any_of(w.DENIALS)}\b|{w.CHECKED}", _I)


def _in_compound(text: str, start: int, stop: int) -> bool:
    return bool(_COMPOUND.match(text, stop, stop + 20) or _PREFIX.search(text, max(0, start - 8), start))


def _denied_after(text: str, low: int, start: int, stop: int) -> bool:
    """As "the cat is gone", but not the roof in "the cat on the roof is gone"."""
    return bool(_AFTER.match(text, stop, stop + _FAR)) and not _AT_PLACE.search(text, low, start)


# --- Questions --------------------------------------------------------------------------------------------------------

_TAG = re.compile(w.TAGS, _I)
_OPEN = re.compile(rf"\W*(?!{any_of(w.HALF_QUESTIONS)}\b){any_of(w.OPEN_QUESTIONS)}(?:['’]\w+)?\b", _I)
_OR_AFTER, _OR_BEFORE = re.compile(rf"\s+{w.OR}\s", _I), re.compile(rf"\b{w.OR}\s+(?:\w+\s+)?$", _I)
_THIS_IS = re.compile(rf"\b{phrase(w.THIS_IS)}{_ADJECTIVES}", _I)
_YES = re.compile(rf"\W*{any_of(w.YES)}\b", _I)


def _asked(text: str, start: int, stop: int) -> bool:
    """Whether the mention stands in a question that leaves open whether the thing is there."""
    end = _SENTENCE_END.search(text, stop, stop + _FAR)
    if end is None or end.group() not in "?？":
        return _asks_unspaced(text, stop, end.start() if end else min(len(text), stop + _FAR))
    far = max(0, start - _FAR)
    first = max((e.end() for e in _SENTENCE_END.finditer(text, far, start)), default=far)
    if _YES.match(text, end.end(), end.end() + 20):
        return False
    if _DEFINITE.search(text, first, start) and not (end.start() == stop and _THIS_IS.search(text, first, start)):
        return False
    if _OPEN.match(text, first) and not _alternative(text, start, stop):
        return False
    tag = text.rfind(",", stop, end.end())
    return tag < 0 or not _TAG.fullmatch(text, tag, end.end())


def _alternative(text: str, start: int, stop: int) -> bool:
    return bool(_OR_AFTER.match(text, stop, stop + 8) or _OR_BEFORE.search(text, max(0, start - 8), start))


# --- What stands before the mention -----------------------------------------------------------------------------------

_STOP_CLAUSE = rf"(?:{any_of(w.CONTRASTS)})\b"
_STOP_PHRASE = rf"(?:{any_of(w.CONTRASTS + w.PLACES + w.VERBS)})\b"
_PART_OF = rf"{any_of(w.PARTS)}\s+of\s+"
_IN_PHRASE = re.compile(rf"\s+(?:{_PART_OF}|(?!{_STOP_PHRASE}){_TOKEN}\s+){{0,{_PHRASE}}}$", _I)
_WORD = rf"(?!{_STOP_CLAUSE}){_TOKEN}\s+"
_IN_CLAUSE = re.compile(rf"\s+(?:{_WORD}){{0,{_CLAUSE}}}$", _I)
_IN_REACH = re.compile(rf"\s+(?:{_WORD}){{0,{REACH}}}$", _I)
_OPAQUE = re.compile(rf"\s+(?:{_WORD}){{0,2}}?{any_of(w.OPAQUE)}\s+(?:{_WORD}){{0,{_CLAUSE}}}$", _I)
_SHOWING = re.compile(rf"\b{any_of(w.SHOWING)}\b", _I)
_SEEING = re.compile(rf"\b{any_of(w.SEEING)}\b", _I)
_WRITER = re.compile(rf"\b{any_of(w.WRITERS)}\s+(?:\w+\s+)?$", _I)
_NO_VERB = re.compile(rf"(?:\s+(?:{any_of(w.DEGREES + w.BE)}|\w+ly))*\s*$", _I)
_ONLY_DEGREES = re.compile(rf"(?:\s+(?:{any_of(w.DEGREES)}|\w+ly))*\s+$", _I)
_INDEFINITE = re.compile(r"\s+(?:an?|any|one)\s", _I)
_ARTICLE = re.compile(rf"\b{any_of(w.ARTICLES)}\s+$", _I)
_STARTS = re.compile(r"[\W_]*$")
_RELATIVE = re.compile(rf"\b{any_of(w.RELATIVES)}\s+$", _I)
_MAIN_VERB = re.compile(phrase(w.MAIN_VERB), _I)
_HAS_VERB = re.compile(rf"\b{any_of(w.BE + w.OPAQUE)}\s", _I)
_BUT_ALL = re.compile(rf"\b{any_of(w.ALL)}\b", _I)


def _between(text: str, low: int, high: int, stop: int) -> str:
    """Words between a cue and a mention, without the commas of a list that ends in "or"."""
    words = text[low:high]
    is_list = "," in words and (_LIST_ENDS.match(text, stop, stop + _FAR) or _LIST_ENDED.search(words))
    return re.sub(r",\s", " ", words) if is_list and not words.startswith(",") else words


def _phrase_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    """As "no dogs", "no sign of a dog", "no sign that there is a dog", "no animal here is a dog"."""
    if _IN_PHRASE.match(between):
        return True
    subject = cue.group().lower() == "no" and _STARTS.fullmatch(text, low, cue.start()) and _HAS_VERB.search(between)
    return _sentence_reaches(text, low, cue, between) if subject else bool(_OPAQUE.match(between))


def _sentence_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    """As "none of these animals is a cat", but not "none of them sits on the roof"."""
    if cue.group().lower() in w.EMPTY and not _HAS_VERB.search(between):
        return False
    return bool(_IN_CLAUSE.match(between)) and not _AT_DEFINITE.search(between)


def _verb_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    """As "is not a cat", "do not think that there is a cat"; not "a not very happy cat", "who isn't old has a cat"."""
    if _ARTICLE.search(text, low, cue.start()) and not cue.group().lower().endswith(("n't", "n’t")):
        return bool(_ONLY_DEGREES.match(between))
    if _RELATIVE.search(text, low, cue.start()) and _MAIN_VERB.match(between):
        return False
    definite = _DEFINITE.search(between)
    if definite and _IN_CLAUSE.match(between) and not _NO_VERB.fullmatch(between, 0, definite.start()):
        verb = between[: definite.start()]
        sees = _SEEING.search(verb) and _WRITER.search(text, low, cue.start())
        return bool(_SHOWING.search(verb) or sees)
    same_phrase = _INDEFINITE.match(between) and _IN_PHRASE.match(between)
    return bool(same_phrase or _IN_REACH.match(between) or _OPAQUE.match(between))


def _but_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    """As "everything except a cat", but not "empty except for a cat"."""
    return bool(_IN_PHRASE.match(between) and _BUT_ALL.search(text, low, cue.end()))


def _doubt_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    """As "perhaps it is a cat", but not "perhaps the cat is ill"."""
    return bool(_IN_CLAUSE.match(between)) and not _DEFINITE.search(between)


def _likeness_reaches(text: str, low: int, cue: re.Match[str], between: str) -> bool:
    return bool(_IN_PHRASE.match(between))


_Reach = Callable[[str, int, "re.Match[str]", str], bool]
_REACHES: dict[str, _Reach] = {
    "phrase": _phrase_reaches,
    "sentence": _sentence_reaches,
    "verb": _verb_reaches,
    "but": _but_reaches,
    "doubt": _doubt_reaches,
    "likeness": _likeness_reaches,
}
"""By kind of cue: whether it reaches the mention, given the text, where its clause begins, the cue, what is between."""


def _denied_before(text: str, low: int, start: int, stop: int, negations: tuple[str, ...]) -> bool:
    cues = list(_cues(negations).finditer(text, low, start))
    for cue in cues[-_MOST_CUES:]:
        reaches = _REACHES.get(cue.lastgroup or "")
        if reaches and reaches(text, low, cue, _between(text, cue.end(), start, stop)):
            return True
    return False


@lru_cache(maxsize=256)
def _cues(negations: tuple[str, ...]) -> re.Pattern[str]:
    """Pattern of every cue, each in a group with the name of its kind; phrases that only look like one come first."""
    plain = {word.strip().lower().replace("’", "'") for word in negations} - {""}
    phrase, sentence = plain & set(w.OF_PHRASES), plain & set(w.OF_SENTENCES)
    kinds: dict[str, str] = {
        "none": any_of((*w.NO_NEGATIONS, w.LOOKS_LIKE)),
        "but": any_of(w.BUT),
        "sentence": _any_word(sentence),
        "phrase": _any_word(phrase),
        "verb": _any_word(plain - phrase - sentence),
        "doubt": any_of(w.DOUBTS),
        "likeness": any_of(w.LIKENESS),
    }
    return re.compile(rf"(?<!\w)(?:{'|'.join(f'(?P<{k}>{body})' for k, body in kinds.items())})(?!\w)", _I)


def _any_word(words: Iterable[str]) -> str:
    """Pattern of words as they are given; what begins with "n'" ends a word."""
    escaped = [re.escape(word).replace(r"\ ", r"\s+").replace("'", "['’]") for word in sorted(words, key=len)[::-1]]
    return "|".join(rf"\w+{word}" if word.startswith("n[") else word for word in escaped) or "(?!)"


# --- Scripts without spaces -------------------------------------------------------------------------------------------

_OTHER = re.compile(rf"[{w.UNSPACED}{w.PARTICLES}]")
_CUES_UNSPACED = re.compile(f"(?P<none>{any_of(w.NO_NEGATIONS_UNSPACED)})|{any_of(w.BEFORE_UNSPACED)}")
_CONTRAST_UNSPACED = re.compile(any_of(w.CONTRASTS_UNSPACED))
_AFTER_UNSPACED = re.compile(any_of(w.AFTER_UNSPACED))
_ASKING_UNSPACED = re.compile(rf"{any_of(w.ASKING_UNSPACED)}\s*$")


def _denied_unspaced(text: str, low: int, start: int, stop: int) -> bool:
    if not _OTHER.match(text, start):
        return False
    if _AFTER_UNSPACED.match(text, stop):
        return True
    cues = _CUES_UNSPACED.finditer(text, max(low, start - 2 * _UNSPACED_FAR), start)
    betweens = (text[cue.end() : start] for cue in cues if cue.lastgroup is None)
    return any(len(words) <= _UNSPACED_FAR and not _CONTRAST_UNSPACED.search(words) for words in betweens)


def _asks_unspaced(text: str, stop: int, end: int) -> bool:
    return bool(_OTHER.match(text, stop - 1) and _ASKING_UNSPACED.search(text, max(stop, end - 4), end))
