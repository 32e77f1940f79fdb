"""Everything about languages that the rule of `named` knows: word forms, negations, doubt, words in another sense.

Entries are patterns of `re` in which a blank stands for any white space, but for `NEGATIONS`, which users may edit and
which are plain words. What is not said to be of another language is English.
"""

# fmt: off

from __future__ import annotations

import re
from collections.abc import Iterable


def phrase(text: str) -> str:
    """Pattern of a phrase that is one itself: a blank stands for any white space."""
    return re.sub(r" (?!\?)", r"\\s+", text)


def any_of(phrases: Iterable[str]) -> str:
    """Pattern of any of several phrases, the longest first; of none, one that matches nothing."""
    listed = [phrase(text) for text in sorted(phrases, key=len, reverse=True)]
    return "(?:" + "|".join(listed) + ")" if listed else "(?!)"


# --- Word forms -------------------------------------------------------------------------------------------------------

IRREGULAR = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth",
    "goose": "geese", "mouse": "mice", "louse": "lice", "ox": "oxen", "die": "dice", "penny": "pence",
    "leaf": "leaves", "knife": "knives", "wolf": "wolves", "shelf": "shelves", "half": "halves", "calf": "calves",
    "loaf": "loaves", "thief": "thieves", "wife": "wives", "life": "lives", "hoof": "hooves", "scarf": "scarves",
    "elf": "elves", "self": "selves", "sheaf": "sheaves", "dwarf": "dwarves", "wharf": "wharves",
    "potato": "potatoes", "tomato": "tomatoes", "hero": "heroes", "echo": "echoes", "mosquito": "mosquitoes",
    "volcano": "volcanoes", "tornado": "tornadoes", "mango": "mangoes", "buffalo": "buffaloes", "cargo": "cargoes",
    "cactus": "cacti", "fungus": "fungi", "nucleus": "nuclei", "stimulus": "stimuli", "radius": "radii",
    "crisis": "crises", "axis": "axes", "basis": "bases", "oasis": "oases", "analysis": "analyses", "thesis": "theses",
    "phenomenon": "phenomena", "criterion": "criteria", "bacterium": "bacteria", "medium": "media",
    "matrix": "matrices", "vertex": "vertices", "index": "indices", "appendix": "appendices",
}
"""Plurals that no ending makes, of words and of what ends with them (snowman, bookshelf)."""
NOT_MEN = ("human", "german", "roman", "ottoman", "caiman", "talisman", "shaman")
"""Words in -man with a regular plural."""
DERIVED = (
    (("y", "ily"), ("le", "ly"), ("ic", "ically"), ("", "ly")),
    (("y", "iness"), ("", "ness")),
    (("y", "iful"), ("", "ful")),
    (("y", "ifully"), ("", "fully")),
)
"""Endings and what replaces them in derived words; the first that fits of each line: happily, happiness; fearful."""
NOT_DERIVED = frozenset((
    # measures
    "handful", "mouthful", "armful", "fistful", "spoonful", "cupful", "plateful", "bucketful", "houseful", "roomful",
    "eyeful", "earful", "bagful", "boxful",
    # words that have gone their own way
    "wonderful", "careful", "fruitful", "watchful", "rightful", "lawful", "useful", "carefully", "wonderfully",
    "hardly", "nearly", "lately", "shortly", "barely", "scarcely", "mostly", "likely", "fairly", "lovely", "lively",
    "homely", "timely", "costly", "lightly", "largely", "simply", "firstly", "lastly", "partly", "badly", "really",
    "manly", "womanly", "motherly", "fatherly", "brotherly", "sisterly", "kingly", "queenly", "princely", "beastly",
    "cowardly", "worldly", "bodily", "earthly", "heavenly",
    "witness", "harness", "business", "likeness", "wilderness", "fitness", "governess", "highness", "goodness",
))
"""Words that look derived and do not name what they come from: a handful of coins shows no hand."""

# --- Scripts ----------------------------------------------------------------------------------------------------------

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Letters of scripts without spaces between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese), as ranges."""
PARTICLES = r"\uac00-\ud7a3"
"""Letters of scripts whose words take particles at their end (Korean), as a range."""

# --- Words in another sense -------------------------------------------------------------------------------------------

SENSES = {
    "order": (
        "in order (?:to|that|for)", "out of order",
        "(?:takes?|taking|took|placed?|placing) (?:an?|the|his|her|their|your) orders?",
    ),
    "left": (
        "left ?-?over",
        r"(?<!the\s)left (?:behind|alone|out|the|his|her|its|their|him|them|home|for|in|on|over|at|from)",
        "(?:what|who|all that|nothing|little|much|something|someone|anything|none)(?:['’]s| is| was)? left(?! of)",
        "(?:has|have|had|having|was|were|been|be|i|he|she|it|they|we|you|who|just|already)(?: just| already)? "
        r"left(?! (?:of|side|hand|and|or|to)\b)",
    ),
    "right": (
        "all right", r"right\?", "(?:human|civil) rights?",
        "the right (?:choice|answer|way|time|thing|moment|word|one)",
        r"(?<!the\s)right (?:now|away|here|there|before|after|behind|next|beside|under|above|below|in|on|at|by)",
        r"(?:that|you|he|she|it|they|this)(?:['’]s|['’]re| is| are) right(?! (?:of|side|next)\b)",
    ),
    "above": ("above all",),
    "over": ("all over", "over there"),
    "inside": ("inside out",),
    "kind": ("kinds? of", "(?:some|any|what|this|same|one of a|certain) kinds?"),
    "sort": ("sorts? of", "(?:some|any) sorts?"),
    "type": ("types? of",),
    "fear": ("for fear", "i fear"),
    "hope": ("i hope", "hope (?:this|that|it) helps"),
    "love": ("would love",),
    "surprise": ("no surprise",),
    "interest": ("points? of interest",),
    "balance": ("on balance",),
    "power": ("power (?:lines?|plugs?|outlets?|cords?|plants?)",),
    "bear": ("bear in mind", "teddy bears?"),
    "dog": ("hot ?-?dogs?",),
    "horse": ("sea ?-?horses?", "horse ?power", "horse chestnuts?", "rocking horses?"),
    "mouse": ("mouse pads?",),
    "star": ("(?:rock|movie|film|pop) stars?", "star fish(?:es)?"),
    "fish": ("star fish(?:es)?",),
    "bus": ("bus (?:stop|stations?|lanes?)",),
    "train": ("train (?:stations?|tracks?|lines?)",),
    "car": ("car parks?", "cable cars?"),
    "fire": ("fire (?:hydrants?|trucks?|engines?|escapes?|stations?|places?)",),
    "light": ("light (?:blue|green|brown|grey|gray|pink|red|yellow)",),
    # Chinese and Japanese: words of several signs
    "猫": ("熊猫", "猫头鹰"), "貓": ("熊貓", "貓頭鷹"), "熊": ("熊猫",), "狗": ("热狗", "熱狗"),
    "马": ("马上", "马路", "马铃薯", "河马", "海马"), "馬": ("馬上", "馬路", "馬鈴薯", "河馬", "海馬", "馬鹿"),
    "牛": ("蜗牛", "牛奶", "牛仔", "牛油果", "牛乳"), "鱼": ("鳄鱼", "章鱼"), "花": ("花生", "棉花", "花费"),
    "火": ("火车", "火車", "火箭", "火山"), "星": ("星期",), "车": ("车站",),
}
"""By word: phrases that hold it and do not name it. A concept one of whose own words is the phrase is named by it."""
THINGS_FOR = ("food", "litter", "lovers?", "breeds?", "shelters?")
"""What follows a word whose thing need not be there: cat food."""
COMPOUNDS = (
    "like", "shaped", "sized", "free", "less", "eared", "hearted", "headed", "faced", "legged", "footed", "tailed",
    "themed", "esque", "ish", "proof", "friendly", "related", "inspired", "looking",
)
"""What follows a word and a hyphen where the thing is not there: a cat-like dog. A cartoon-style drawing is one."""
PREFIXES = ("non", "anti", "un", "pseudo", "ex", "pre", "post")
"""What stands before a hyphen and a word where the thing is not there: non-human."""

# --- Negation before a mention ----------------------------------------------------------------------------------------

OF_PHRASES = (
    "no", "without", "neither", "nor", "zero", "lack", "lacks", "lacking", "lack of", "absence of", "devoid of",
    "free of", "free from", "instead of", "rather than", "in place of", "in lieu of", "used to be", "missing", "misses",
    "omits", "avoids", "excludes", "excluding",
)
"""Negations of the noun phrase after them: "no dogs near the cat" says nothing against the cat."""
OF_SENTENCES = (
    "none of", "neither of", "nobody", "no one", "nothing", "nowhere", "doubt", "doubts", "doubtful", "unlikely",
    "impossible", "fails to", "failed to", "hard pressed to find", "hard to find",
)
"""Negations of everything in the clause after them: "none of these animals in the park is a cat"."""
EMPTY = ("nobody", "no one", "nothing", "nowhere")
"""Those of them that need a verb: "nothing here is a cat", but "nothing in the sky above a house"."""
OF_VERBS = ("not", "n't", "never", "cannot", "hardly", "scarcely", "no longer", "far from being")
"""Negations of the verb after them, which go on for a few words, or over the clause with one of `OPAQUE`."""
NEGATIONS = OF_PHRASES + OF_SENTENCES + OF_VERBS
"""Words that negate a mention after them; one that begins with "n'" is an ending."""
NO_NEGATIONS = (
    r"no(?=,| (?:it|this|that|there|i|he|she|they|we)\b)",
    "no (?:doubt|question|wonder|denying|mistaking|surprise)", "no (?:less|fewer|more|later|sooner) than",
    r"no (?:lack|shortage) of", r"no \w+ without",
    r"(?:nothing|nobody|no one|no \w+) (?:but|except|other than)(?: for)?",
    "none other than", "never mind", "never seen such", "without (?:a |any )?(?:doubt|question)",
    r"(?:not|\w+n['’]t|cannot) (?:only|just|merely|simply|to mention|surprisingly|until|long ago)",
    r"(?:not|never|\w+n['’]t|cannot|can not|no one|nobody) (?:can |could |would )?(?:be )?"
    r"(?:without|lack|lacking|den(?:y|ied)|doubt(?:ed)?|miss|overlook(?:ed)?|ignored?|help|fails?)(?: to| that)?",
    r"(?:not|\w+n['’]t) (?:that |very |too |so )?far (?:away )?from(?! being)",
    r"(?:not|\w+n['’]t) (?:true|right|correct|the case|think|believe|mean|say)(?: that)? there (?:is|are) no",
    r"if (?:you|we|one) (?:looks?|zooms?)", "(?:things|objects|items|animals|elements|details|features|pets|toys) like",
)
"""Phrases with a word of negation, doubt or comparison that say nothing of the kind: no doubt, not only, no lack."""
OPAQUE = (
    "thinks?", "believes?", "sees?", "seen?", "finds?", "found", "notices?", "spot", "detect", "observe",
    "recogni[sz]e", "identify", "make out", "says?", "said", "call(?:ed)?", "consider(?:ed)?", "describe[ds]?", "guess",
    "looks?", "seems?", "appears?", "contains?", "containing", "shows?", "showing", "shown", "depicts?", "depicting",
    "features?", "includes?", "including", "have", "has", "having", "portrays?", "represents?", "representing",
    "indicates?", "suggests?", "true", "case", "clear", "sure", "certain", "convinced", "evidence", "signs?", "traces?",
    "indications?", "hints?", "proof", "reason", "possible", "likely", "able", "aware", "pictures?", "images?",
    "photos?", "photographs?", "mention", "there",
)
"""Words whose complement is negated with them: "i do not think that there is a cat", "no sign of a cat"."""
SHOWING = ("contain", "show", "depict", "feature", "include", "have", "has", "portray", "represent", "mention", "there")
"""Those that deny a definite thing too: "the image does not show the cat"."""
SEEING = ("see", "find", "notice", "spot", "detect", "observe", "recogni[sz]e", "identify", "make out")
"""Those that do so if it is the writer who does not: "i do not see the cat", but "the dog does not see the cat"."""
WRITERS = ("i", "we", "you", "one")
PARTS = (
    "signs?", "traces?", "hints?", "indications?", "evidence", "pictures?", "images?", "photos?", "sight", "kinds?",
    "types?", "sorts?", "forms?", "groups?", "pairs?", "number", "any", "one", "some", "single",
)
"""Nouns through which a negation goes on: "without any trace of a cat", but "a picture without colour of a cat"."""
CONTRASTS = (
    "but", "only", "just", "merely", "with", "because", "so", "while", "whereas", "although", "though", "yet", "except",
    "besides", "other than", "apart from", "when", "until", "which", "who", "whose", "where",
    "and (?:a|an|the|one|two|three|some|there|it)",
)
"""Words that end the reach of a negation: "no dog but a cat", "no dog and a cat"."""
PLACES = (
    "on", "in", "at", "under", "behind", "near", "next to", "beside", "above", "below", "over", "to", "by", "of",
    "around", "between", "through", "against", "from", "into", "towards?", "across", "along", "inside", "outside",
    "among", "for",
)
BE = ("is", "are", "was", "were", "be", "been", "being")
VERBS = (*BE, "has", "have", "had", "does", "do", "there", "can", "could", "will", "would", "sits?", "stands?", "lies")
"""Words that end a noun phrase, as places do."""
RELATIVES = ("who", "which", "that")
MAIN_VERB = r"(?: [\w'’-]+){0,6}? \w+[a-rt-z]s (?:an?|his|her|its|their|on|in|at) "
"""End of a relative clause, by the verb that follows it: "who isn't smiling holds a balloon"."""
DEGREES = (
    "very", "really", "so", "too", "quite", "particularly", "especially", "all that", "at all", "exactly", "even",
    "always", "fully", "entirely",
)
ARTICLES = ("a", "an", "the", "this", "that", "some", "his", "her", "its", "their", "one")
DEFINITE = ("the", "this", "these", "his", "her", "its", "their", "my", "your", "our")
ALL = ("everything", "everyone", "everybody", "anything", "anyone", "anybody", "all", "every", "any")
BUT = ("except", "except for", "other than", "save for", "with the exception of", "(?:anything|everything|all) but")
"""Exceptions deny a thing after one of `ALL`, "everything except a cat", and not in "empty except for a cat"."""

# --- Doubt, comparison, questions -------------------------------------------------------------------------------------

DOUBTS = (
    "perhaps", "maybe", "possibly", "either(?= an? )", "if", "whether", "unless", "unsure", "unclear", "uncertain",
    "imagine", "wish(?:es|ed)?", "supposed to", "pretend(?:s|ing)?", "as though", "supposedly",
    "(?:look|search)ing for", "(?:would|['’]d) (?:like|love|prefer|rather|need|want)", "dream(?:s|ing|t)? (?:of|about)",
    r"(?:could|might|may)(?: \w+ly| also| well)? (?:be|have|show|contain|depict|represent)",
)
"""What is not said to be so, "perhaps it is a fox"; definite things are there anyway: "maybe the fox is ill"."""
LIKENESS = (
    "unlike", "resembl(?:es?|ed|ing)", r"(?:reminiscent|reminds \w+) of", "similar to", "in the shape of",
    r"(?:dressed|disguised) (?:up )?as", r"as [\w-]+ as(?= an? )", "like(?= an? )",
    r"(?:looks?|looked|feels?|felt|sounds?|smells?|acts?|moves?) like(?! (?:it|he|she|they|this|there|the|some)\b)",
)
"""What a thing is only compared with: "quick as a cat"."""
LOOKS_LIKE = (
    "(?:it|this|that|there|which|what|image|picture|photo|drawing|painting|sketch|animal|creature|object|thing|one|other)"
    r"(?: \w+){0,2} (?:looks?|appears?|seems?|feels?)(?: \w+ly| a lot| more)? like"
)
"""A comparison that is a cautious answer: "it looks like a cat"."""
OPEN_QUESTIONS = ("what", "why", "how", "who", "whose", "when")
"""First words of questions that take their nouns for granted: "what is the cat looking at?"."""
HALF_QUESTIONS = ("what if", "what about", "how about", "what would")
THIS_IS = rf"{any_of(BE)} (?:this|these|that|those|it|they) "
"""Begin of a question whose pronoun is no article: "is this meat?", but "is this cat black?"."""
OR = "n?or"
YES = ("yes", "yeah", "yep", "indeed", "correct", "true")
"""How the answer to a question begins that says that it is so: "is it a cat? yes"."""
TAGS = r", ?(?:(?:is|are|was|were|do|does|did|has|have|ca|wo)n['’]t \w+|right|no|yes|huh|eh|correct)\?"
"""Ends of statements in the form of a question: "it's a cat, isn't it?"."""

# --- Negation after a mention -----------------------------------------------------------------------------------------

SEEN = (
    "there", "here", "visible", "present", "shown", "seen", "depicted", "pictured", "included", "found", "existent",
    "(?:in|on|part of) (?:the|this|that) (?:picture|image|photo|photograph|scene|frame|shot|drawing|painting)",
)
"""What a thing is not: "the cat is not there", "a cat isn't visible", "a cat not shown"."""
GONE = (
    "gone", "absent", "lacking", "nowhere", "invisible", "nonexistent", "out of (?:sight|frame|view|shot)",
    r"missing(?! (?:a|an|the|one|some|its|his|her|their)\b)", "removed", "erased", "deleted", "omitted", "replaced",
    "cropped out", "taken away", "painted over", "left out", "eaten(?! by)", "torn down", "demolished",
)
"""What a thing is: "the cat is missing", but "the cat is missing a leg"."""
LEAVING = (
    "disappeared", "vanished", r"gone(?! (?!away)\w)", "fled", "run away",
    r"left(?! (?:and|or|side|hand|paw|arm|leg)\b)",
    r"\w+ (?:out|outside) of (?:the|this) (?:picture|image|frame|view|shot|scene)",
)
"""What a thing has: "the cat has disappeared"."""

NOT = r"(?: (?:not|no longer|never)|n['’]t|not)(?: \w+)?"
ADVERB = r"(?:(?!not\b|never\b)\w+ )?"
BETWEEN = (
    r" (?:that|which|who) (?:\w+ ){1,6}?", rf" {any_of(PLACES)} (?:\w+ ){{1,4}}?",
    r" (?:and|or) (?:\w+ ){1,3}?(?=(?:are|were|have) )", " ",
)
"""What may stand between a mention and what is said of it: "the cat on the roof is gone"."""
DENIALS = (
    rf"(?:{any_of(BE)}{NOT}|not|no longer) {any_of(SEEN)}",
    rf"(?:{any_of(BE)}|(?:has|have|had) {ADVERB}been|seems?) {ADVERB}{any_of(GONE)}",
    rf"(?:has|have|had) {ADVERB}{any_of(LEAVING)}", "disappeared", "vanished",
    r"(?:had been|used to be)(?=[.,;!]|\s*$)",
    rf"(?:can|could){NOT} be (?:\w+ )?(?:seen|found|made out|recogni[sz]ed)",
    rf"(?:does|do|did){NOT} (?:exist|appear|show up|occur)", "no longer (?:exists?|appears?)",
)
"""What is said of a thing that is not there, after it."""
CHECKED = r"\s*[:=-]\s*(?:no|none|absent|false|0)(?=\s*(?:[.,;\n]|$))"
"""What follows a thing that is not there in a list: "cat: no"."""

# --- Scripts without spaces, and Korean -------------------------------------------------------------------------------

BEFORE_UNSPACED = (
    "没有", "沒有", "没", "沒", "无", "無", "不是", "并非", "並非", "非", "不存在", "看不到", "看不见", "未见", "未",
    "缺少", "缺乏", "不像", "像", "可能是", "也许", "或许", "是否", "如果",
    "ไม่มี", "ไม่ใช่", "ไม่เห็น", "ไม่พบ", "ปราศจาก", "อาจ",
)
"""Chinese, Thai: what negates a mention a few letters after it, or leaves it in doubt."""
NO_NEGATIONS_UNSPACED = ("无疑", "毫无疑问", "不仅", "不只", "好像", "图像", "圖像", "影像", "雕像")
CONTRASTS_UNSPACED = ("而是", "但", "只", "却", "有一", "和一", "旁", "แต่")
AFTER_UNSPACED = (
    "不见了?", "不見了?", "不在", "消失", "没有?出现", "没了", "并?不存在",
    "(?:は|が|も|では|じゃ|で|の姿は|など|を){0,2}(?:どこにも)?"
    "(?:いません|いない|ありません|ない|なく|見えない|見えません|見当たら|消え|かもしれ|でしょうか|ですか)",
    "(?:이|가|은|는|도)? ?(?:없|아니|아닙|안 보|보이지 않|사라)",
    "หายไป",
)
"""Chinese, Japanese, Korean, Thai: what negates a mention right before it, or leaves it in doubt."""
ASKING_UNSPACED = ("吗", "嗎", "么", "か")
