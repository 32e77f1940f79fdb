"""Prompts that the language of the emoji model is kept and judged with: those of evaluation are never trained on."""
