"""Vectors survive their files, and wrong files say what is wrong with them."""

import gguf
import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file

from mllm_probe.generation import generate
from mllm_probe.steering import Steering
from mllm_probe.vectors import load_vectors, save_vectors
from tests.steering.reference import made_vectors


@pytest.fixture(scope="module")
def vectors(tiny):
    made = made_vectors(tiny)
    made["words"] = ("concept", ['["cat", "Katze"]', '["dog"]'])
    made["vector"].attrs["note"] = "kept"
    return made.assign_coords(category=("concept", ["entity", "entity"]))


def test_safetensors_keep_everything(tiny, vectors, tmp_path):
    path = save_vectors(vectors, tmp_path / "v.safetensors")
    found = load_vectors(path, model=tiny)
    assert found.vector.variable._data.__class__.__name__ != "ndarray"
    xr.testing.assert_identical(found.load(), vectors)
    xr.testing.assert_identical(load_vectors(str(path)).load(), vectors)
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]
    one = vectors.sel(concept="cat", scope="image", layer=[1, 2])
    found = load_vectors(save_vectors(one, tmp_path / "one.safetensors"))
    xr.testing.assert_identical(found.load(), one)


def test_others_may_read_vectors_as_they_may_any_file(vectors, tmp_path):
    (tmp_path / "any.txt").touch()
    path = save_vectors(vectors, tmp_path / "vectors.safetensors")
    assert path.stat().st_mode == (tmp_path / "any.txt").stat().st_mode


def test_loaded_vectors_steer_as_before(tiny, vectors, pictures, tmp_path):
    save_vectors(vectors, tmp_path / "v.safetensors")
    found = load_vectors(tmp_path / "v.safetensors", model=tiny)
    outs = [
        generate(tiny, pictures[0], steering=Steering(v.sel(concept="cat"), [1], 1.5), max_new_tokens=3)
        for v in (vectors, found)
    ]
    assert torch.equal(outs[0].logits, outs[1].logits)


def test_gguf_holds_a_control_vector_that_comes_back(tiny, vectors, pictures, tmp_path):
    one = vectors.sel(concept="cat", scope="image")
    with pytest.warns(UserWarning, match="no place for block 0"):
        path = save_vectors(one, tmp_path / "v.gguf")
    reader = gguf.GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.layer_count"].contents() == 3
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.2", "direction.3"]
    assert np.array_equal(reader.tensors[0].data, one.vector.sel(layer=1).values)
    found = load_vectors(path, model=tiny, images=pictures[:1])
    assert found.concept.values.tolist() == ["cat"] and found.scope.values.tolist() == ["image"]
    assert np.array_equal(found.vector.values[0, 0], one.vector.sel(layer=[1, 2, 3]).values)
    assert (found.residual_norm_at_image > 0).all()
    out = generate(tiny, pictures[0], steering=Steering(found.sel(concept="cat"), [1], 1.0), max_new_tokens=2)
    assert out.receipt.fired


def test_gguf_of_another_program_is_read(tiny, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "theirs.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 2)
    rng = np.random.default_rng(0)
    directions = {layer: rng.standard_normal(32).astype(np.float32) for layer in (3, 1)}
    for layer, vector in directions.items():
        writer.add_tensor(f"direction.{layer}", vector)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = load_vectors(tmp_path / "theirs.gguf", model=tiny)
    assert found.layer.values.tolist() == [1, 3] and found.concept.values.tolist() == ["theirs"]
    assert np.array_equal(found.vector.values[0, 0], np.stack([directions[1], directions[3]]))


def test_wrong_files_say_what_is_wrong(tiny, tiny_mrope, vectors, tmp_path):
    with pytest.raises(ValueError, match=r"saved as \*.safetensors, or as \*.gguf"):
        save_vectors(vectors, tmp_path / "v.npz")
    with pytest.raises(ValueError, match=r"holds one concept, the vectors have 2 \(cat, dog …\): select one"):
        save_vectors(vectors, tmp_path / "v.gguf")
    with pytest.raises(ValueError, match="lacks variable 'vector'"):
        save_vectors(vectors[["residual_norm"]], tmp_path / "v.safetensors")
    with pytest.raises(FileNotFoundError, match="no file of vectors at"):
        load_vectors(tmp_path / "none.safetensors")
    save_vectors(vectors, tmp_path / "v.safetensors")
    with pytest.raises(ValueError, match=r"v.safetensors were made with tiny-llava .* used with tiny-qwen"):
        load_vectors(tmp_path / "v.safetensors", model=tiny_mrope)
    (tmp_path / "broken.safetensors").write_bytes(b"not a header at all")
    with pytest.raises(ValueError, match="broken.safetensors cannot be read as safetensors"):
        load_vectors(tmp_path / "broken.safetensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no vectors of this package"):
        load_vectors(tmp_path / "other.safetensors")


def test_wrong_gguf_files_say_what_is_wrong(tiny, tiny_mrope, vectors, tmp_path):
    one = vectors.sel(concept="cat", scope="image", layer=[2, 3])
    save_vectors(one, tmp_path / "v.gguf")
    with pytest.raises(ValueError, match="does not say which model it is for; pass model="):
        load_vectors(tmp_path / "v.gguf")
    with pytest.raises(ValueError, match="made with tiny-llava .* used with tiny-qwen"):
        load_vectors(tmp_path / "v.gguf", model=tiny_mrope)
    (tmp_path / "broken.gguf").write_bytes(b"GGUX" * 10)
    with pytest.raises(ValueError, match="cannot be read as GGUF"):
        load_vectors(tmp_path / "broken.gguf", model=tiny)
    for name, architecture, layer, text in (
        ("llama", "llama", 1, "holds no control vector.*it is 'llama' with 1 tensors"),
        ("deep", "controlvector", 9, "direction for block 9, but tiny-llava has blocks 0 … 3"),
    ):
        writer = gguf.GGUFWriter(tmp_path / f"{name}.gguf", architecture)
        writer.add_tensor(f"direction.{layer}", np.zeros(32, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with pytest.raises(ValueError, match=text):
            load_vectors(tmp_path / f"{name}.gguf", model=tiny)
