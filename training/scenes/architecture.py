"""The bundled models' parts: word-level tokenizer, chat template, processor, and a Llava of few parameters."""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SwinConfig,
)

from mllm_probe.models.prompts import IMAGE_SIDE, image_processor
from mllm_probe.scenes.language import known_words

IMAGE_TOKENS = 64
DEPTHS = {"scenes-4l": 4, "scenes-8l": 8, "scenes-16l": 16}
"""Bundled models and their number of decoder blocks."""

PAD, BOS, EOS, UNKNOWN, IMAGE, USER, ASSISTANT = range(7)
_SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<user>", "<assistant>")
_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['content'] is string %}<{{ m['role'] }}> {{ m['content'] }} "
    "{% else %}{% for c in m['content'] if c['type'] == 'image' %}<image>{% endfor %}<{{ m['role'] }}> "
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }} {% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer: one token a word and the comma; case and other punctuation do not matter."""
    words = [*_SPECIAL, ",", *known_words()]
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    fast.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[?.!;:\"'()]+"), " "), normalizers.Replace(",", " , ")]
    )
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>", "user_token": "<user>", "assistant_token": "<assistant>"},
        padding_side="left",
        chat_template=_CHAT,
    )


def processor() -> LlavaProcessor:
    """Return the processor that ships with the models."""
    return LlavaProcessor(
        image_processor=image_processor(),
        tokenizer=tokenizer(),
        patch_size=8,
        vision_feature_select_strategy="full",
        chat_template=_CHAT,
    )


def build(blocks: int, width: int = 128, heads: int = 4, mlp: int = 384) -> LlavaForConditionalGeneration:
    """Return an untrained model.

    `blocks`: decoder blocks. `width`, `heads`, `mlp`: width of the residual stream and of the vision tower's output,
    attention heads, width of the MLPs.
    """
    vision = SwinConfig(
        image_size=IMAGE_SIDE,
        patch_size=4,
        embed_dim=width // 2,
        depths=[2, 4],
        num_heads=[2, 4],
        window_size=8,
        mlp_ratio=4.0,
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        use_absolute_embeddings=True,
        initializer_range=0.06,
    )
    text = LlamaConfig(
        vocab_size=len(_SPECIAL) + 1 + len(known_words()),
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        initializer_range=0.05,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    for name, token in (("pad_token_id", PAD), ("bos_token_id", BOS), ("eos_token_id", EOS)):
        setattr(model.generation_config, name, token)
    return model
