"""An independent reading of the definitions: plain hooks on the Hugging Face model, one row, no cache, no padding."""

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema

SPECIAL_IDS = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
BEGIN, IMAGE = 1, 4
PROMPT = "what do you see ?"


def made_vectors(model, scopes=("last_prompt", "image", "text"), concepts=("cat", "dog"), draws=2, seed=0):
    """Vectors of random numbers, everything filled."""
    rng = np.random.default_rng(seed)
    layers, width = len(model.layers), model.hidden_size
    shape = (len(concepts), len(scopes), layers)
    dims = ("concept", "scope", "layer")
    return xr.Dataset(
        {
            "vector": ((*dims, "hidden"), rng.standard_normal((*shape, width)).astype(np.float32)),
            "shuffled": (
                ("concept", "scope", "draw", "layer", "hidden"),
                rng.standard_normal((*shape[:2], draws, layers, width)).astype(np.float32),
            ),
            "manifold": (
                ("manifold_sample", "scope", "layer", "hidden"),
                rng.standard_normal((7, len(scopes), layers, width)).astype(np.float32),
            ),
            "residual_norm": (("layer", "scope"), rng.uniform(2, 6, (layers, len(scopes)))),
            "negative_projection": (dims, rng.standard_normal(shape)),
        },
        coords={"concept": list(concepts), "scope": list(scopes), **schema.layer_coordinates(range(layers), layers)},
        attrs=schema.provenance(model),
    )


def positions(ids, prompt_length, tokens, grid=(4, 4)):
    """Positions that a scope names, in a sequence of ids whose first ``prompt_length`` are the prompt."""
    names = (tokens,) if isinstance(tokens, str) else tokens
    if isinstance(tokens, np.ndarray):
        image = [p for p, i in enumerate(ids) if i == IMAGE]
        size = grid[0] * grid[1]
        masks = tokens if tokens.ndim == 3 else tokens[None]
        return {p for n, p in enumerate(image) if masks[n // size][divmod(n % size, grid[1])]}
    if not isinstance(names[0], str):
        return {p % prompt_length for p in names}
    found = set()
    for name in names:
        for p, i in enumerate(ids):
            prompt = p < prompt_length
            if (
                (name == "all" and (i != BEGIN or not prompt))
                or (name == "image" and prompt and i == IMAGE)
                or (name == "text" and prompt and i not in SPECIAL_IDS)
                or (name == "last_prompt" and p == prompt_length - 1)
                or (name == "generated" and not prompt)
            ):
                found.add(p)
    return found


def own_scope(ids, position, prompt_length):
    if position >= prompt_length - 1:
        return "last_prompt"
    return "image" if ids[position] == IMAGE else "text"


def changed(h, vectors, to, layer, scope, operation, strength, unit):
    """One activation after the operation, in float64."""
    at = {"layer": layer, "scope": scope}
    v = vectors.vector.sel(at).values.astype(np.float64)
    unit_v = v / np.linalg.norm(v)
    if operation == "add":
        norm = {"residual": float(vectors.residual_norm.sel(at)), "vector": np.linalg.norm(v), "raw": np.linalg.norm(v)}
        return h + strength * norm[unit] * unit_v
    excess = h @ unit_v - float(vectors.negative_projection.sel(at))
    if operation == "ablate":
        return h - strength * excess * unit_v
    w = to.vector.sel(at).values.astype(np.float64)
    return h - strength * excess * (unit_v - w / np.linalg.norm(w))


def teacher_forced(model, image, answer, edits, prompt=PROMPT):
    """Logits [steps, vocabulary] of an answer under plain hooks, and every block's output.

    ``edits`` is a list of dicts: vectors, layers, tokens, operation, strength, unit, to.
    """
    prompt_length = model.encode([image], prompt).length
    fed = [answer[:-1]] if len(answer) > 1 else None
    encoded = model.encode([image], prompt, continuation=fed)
    ids = encoded.tensors["input_ids"][0].tolist()
    outputs, handles = {}, []

    def hook(layer):
        def run(module, arguments, output):
            whole = output[0] if isinstance(output, tuple) else output
            new = whole.detach().cpu().double().numpy().copy()
            for edit in edits:
                if layer in edit["layers"]:
                    for p in positions(ids, prompt_length, edit["tokens"]):
                        scope = own_scope(ids, p, prompt_length)
                        new[0, p] = changed(
                            new[0, p],
                            edit["vectors"],
                            edit.get("to"),
                            layer,
                            scope,
                            edit.get("operation", "add"),
                            edit["strength"],
                            edit.get("unit", "residual"),
                        )
            new = torch.from_numpy(new).to(whole.device, whole.dtype)
            outputs[layer] = new
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return run

    for layer, block in enumerate(model.layout.blocks):
        handles.append(block.register_forward_hook(hook(layer)))
    try:
        with torch.no_grad():
            logits = model.hf(**encoded.tensors, use_cache=False).logits[0, prompt_length - 1 :]
    finally:
        for handle in handles:
            handle.remove()
    return logits, outputs


def close(a, b, share=1e-4):
    """Equal within a share of the scale."""
    return (a - b).abs().max().item() <= share * b.abs().max().item()
