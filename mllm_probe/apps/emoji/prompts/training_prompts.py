"""Prompts whose answers by the untouched decoder keep the language: chats, and questions about what is seen."""

def _listed(text: str) -> tuple[str, ...]:
    """Entries of a text, which semicolons divide."""
    return tuple(" ".join(text.split()).split("; "))


ABOUT = (
    "Write one sentence about what you see.",
    "Tell me a short story about it.",
    "Where would you find it?",
    "What is it used for?",
    "Write a short poem about it.",
    "What is interesting about it?",
    "Write a caption for it.",
    "What happens next?",
    "What is it made of?",
    "What sound does it make?",
    "Why do people like it?",
    "How does it make you feel?",
    "Tell me a fact about it.",
    "Give it a name.",
    "What does it remind you of?",
    "Who would want it?",
    "What would you do with it?",
    "When would you see one?",
    "Is it dangerous?",
    "Is it expensive?",
    "Is it useful?",
    "Is it heavy or light?",
    "Is it hot or cold?",
    "Is it soft or hard?",
    "Could a child play with it?",
    "How big is it usually?",
    "What color is it usually?",
    "Explain what it is to a child.",
    "Describe it in three words.",
    "Write a headline about it.",
    "Make a joke about it.",
    "Ask me a question about it.",
    "What might it say if it could talk?",
    "Is there a song about it?",
    "What goes well with it?",
    "What is the opposite of it?",
    "Where does it come from?",
    "Do you like it?",
    "What is its job?",
    "Who needs it most?",
)
"""Questions about what is seen."""

_TOPICS = _listed(
    """a train ride; the library; my job; a rainy day; the sea; a small village; my grandmother; a wedding; the desert;
a football match; an old house; the first day at school; a long winter; a garden in spring; a lost dog; the circus;
a birthday cake; a trip to space; a good night's sleep; the city at night; a hungry bear; an honest thief; a broken
clock; the museum; the theatre; a quiet lake; a summer evening; fireworks; the north wind; an old piano; a cup of tea;
a talking mirror; the harvest; the stars; cooking for friends; running; swimming; painting; writing letters; travelling
alone; learning to drive; a snowstorm; the post office; a new neighbor; playing cards; a mountain hut; the first snow;
being patient; being kind; being brave; losing a game; winning a prize; a farmer and his horse; a fox and a crow;
a queen who hates gold; a tiny island; a noisy street; a strange letter; a hidden door; a slow turtle; the color blue;
the sound of rain; the smell of coffee; bread; cheese; honey; salt; sugar; tea; apples; potatoes; cotton; wool; silver;
iron; wood; sand; stone; fire; smoke; fog; wind; lightning; rivers; islands; forests; bridges; castles; ships; trains;
bicycles; cameras; radios; clocks; maps; mirrors; candles; umbrellas; shoes; hats; gloves; ladders; locks; bells; drums;
violins; trumpets; opera; ballet; photography; pottery; chess clubs; football; tennis rackets; skiing; sailing;
camping; gardening; astronomy; geology; chemistry; geometry; grammar; history; law; medicine; trade; taxes; bridges in
old towns; wolves; whales; eagles; owls; ants; spiders; snakes; frogs; horses; sheep; goats; camels; elephants; tigers;
monkeys; dolphins; parrots; bees; butterflies; roses; oak trees; mushrooms; cactuses; seaweed; the Vikings; the Romans;
knights; pirates; explorers; nurses; bakers; teachers; firefighters; judges; tailors; clowns; scientists"""
)
_TEMPLATES = (
    "Tell me about {}.",
    "Write a sentence about {}.",
    "Write a short story about {}.",
    "Write a poem about {}.",
    "Give me a fun fact about {}.",
    "What do you know about {}?",
    "What do you think about {}?",
    "Ask me a question about {}.",
    "Write two sentences about {}.",
    "Give me a title for a story about {}.",
    "What is special about {}?",
    "Say something nice about {}.",
    "Write a diary entry about {}.",
    "Describe {} in a few words.",
    "Explain {} in simple words.",
    "Write a slogan about {}.",
    "Make a riddle about {}.",
    "Write a dialogue about {}.",
    "Why are people interested in {}?",
    "What words come to mind when you hear about {}?",
)
_CAPITALS = _listed(
    """Italy; Japan; Germany; Spain; Canada; Australia; India; Mexico; Brazil; Sweden; Denmark; the Netherlands;
Switzerland; Chile; Colombia; Morocco; South Africa; South Korea; Indonesia; Iran; Israel; Pakistan; Scotland; Croatia;
Serbia; Slovakia; Estonia; Latvia; Ethiopia; Ghana; Jamaica; Venezuela; Mongolia; New Zealand; Saudi Arabia"""
)
_OPPOSITES = _listed(
    """hot; high; hard; early; good; long; clean; near; heavy; thick; loud; sweet; safe; cheap; easy; narrow; sharp;
smooth; asleep; alive; brave; polite; wise; busy; public; winter; friend; success"""
)
_WORDS = [
    "ocean",
    "lantern",
    "gentle",
    "whisper",
    "harvest",
    "journey",
    "ancient",
    "courage",
    "shadow",
    "bitter",
    "marble",
    "clever",
    "valley",
    "thunder",
    "delicate",
    "village",
    "stubborn",
    "velvet",
    "puzzle",
    "generous",
]
_KNOWN = _listed(
    """What is the largest planet?; What is water made of?; Why is grass green?; How many days are in a week?;
What season comes after winter?; Where do penguins live?; What do lions eat?; How does a bicycle work?;
What is the moon?; Who was Albert Einstein?; What is the tallest mountain in Africa?; Who wrote Romeo and Juliet?;
_WORDS = _listed(
    """ocean; lantern; gentle; whisper; harvest; journey; ancient; courage; shadow; bitter; marble; clever; valley;
thunder; delicate; village; stubborn; velvet; puzzle; generous"""
)hat do you use to sweep the floor?; What do you wear on your head?; What vehicle travels under water?;
What is frozen rain called?; What gas is in balloons that rise?; What is the chemical symbol for silver?;
What is the center of the Earth made of?; What part of a plant makes seeds?; Name three fruits.; Name three colors.;
Name three animals that live on a farm.; Name two oceans.; Name four vegetables.; Name three musical instruments.;
Name three sports.; Name a metal.; Name a famous scientist.; Name two months.; Tell me a joke.; How do plants grow?;
Explain how a kite flies.; Give me a tip for sleeping well.; What should I cook tonight?;
What is a good name for a cat?;
How do I make tea?; What is a robot?; What is a good name for a boat?; How do I tie a knot?; How do I boil rice?;
How do I wash wool?; How do I say hello in French?; Translate goodbye into German.; Translate water into Spanish.;
Hello!; Good morning.; Thank you.; I am bored.; I am happy today.; I have a headache.; It is raining again.;
My cat ran away.; I lost my keys.; Can you help me?; Can you sing?; What can you do?; What is your name?;
Tell me something new.; Let us play a game.; Count from one to ten.; Spell the word garden.; Say the alphabet.;
List the days of the week.; List three reasons to smile.; Write a question.; Write a long word.; Write a toast for a
wedding.; Write a postcard from Paris.; Write a note to a neighbor.; Write a rule for a game.; Give an example of a
verb.; Give an example of a proverb.; Finish the sentence: Yesterday I saw; Finish the sentence: The best gift is;
Correct the sentence: I has two dog.; Say this in other words: The weather is bad."""
)
_ASKED_CAPITAL, _ASKED_OPPOSITE, _ASKED_WORD = (
    "What is the capital of {}?",
    "What is the opposite of {}?",
    "What does the word {} mean?",
)
_SENTENCE_WITH = "Use the word {} in a sentence."


def chats() -> list[str]:
    """Return every chat without an image that may be trained on, each once, in a fixed order."""
    asked = [
        *_KNOWN,
        *(_ASKED_CAPITAL.format(name) for name in _CAPITALS),
        *(_ASKED_OPPOSITE.format(word) for word in _OPPOSITES),
        *(_ASKED_WORD.format(word) for word in _WORDS),
        *(_SENTENCE_WITH.format(word) for word in _WORDS),
    ]
    return list(dict.fromkeys([*asked, *(text.format(topic) for text in _TEMPLATES for topic in _TOPICS)]))


def known_chats() -> int:
    """Return how many of `chats`, at their beginning, are single questions and not made of templates and topics."""
    return len(chats()) - len(_TEMPLATES) * len(_TOPICS)
