"""Sprite sheets of the emoji world, and the training of a language model that sees them, which is not shipped yet.

``mllm-probe models get smollm2-135m-instruct`` fetches its decoder. ``python -m training train emoji-135m`` trains the
vision tower (``--only tower``), has the decoder alone answer the prompts whose answers it has to keep, and trains the
language. Ctrl-C, SIGTERM or a file named ``PAUSE`` in its work folder has it save and end; started again, it resumes.
``python -m training evaluate ./emoji-135m`` says how much it recognises, and how much of its decoder's language it
keeps, beginning with what that decoder itself answers. Both need npm and the extra ``art`` for other artists' emoji.

The second training names 98 % of the things in styles that it saw and 98 % in styles that it never saw them in, but
48 % of those that an unseen artist drew (60 % are asked for), 80 % of the styles (93 %) and 56 % of the arrangements
(80 %), so that it does not ship.
"""
