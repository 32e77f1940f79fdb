"""Files of settings: no TOML, other keys and types, other commands' settings; each ends with status 2 and one line."""

from __future__ import annotations

from tests.hostile.cases.cli import refused
from tests.hostile.tries import Try

_GOOD = {
    "model": '"scenes-8l"',
    "library": '"scenes"',
    "concepts": '["cat"]',
    "pairs": "4",
    "layers": "[2]",
    "out": '"a.safetensors"',
}


def _toml(**changes: str) -> str:
    return "".join(f"{key} = {value}\n" for key, value in (_GOOD | changes).items())


def _file(name: str, says: str, content: str | bytes) -> Try:
    return refused(f"settings: {name}", says, "vectors", "--config", "run.toml", files={"run.toml": content})


_CONTENT: dict[str, tuple[str, str | bytes]] = {
    "empty": ("requires an argument", ""),
    "JSON": ("is no TOML", '{"model": "scenes-8l"}'),
    "a byte order mark": ("is no TOML", "\ufeff" + _toml()),
    "latin-1": ("is no TOML", 'prompt = "caf\xe9"'.encode("latin-1")),
    "UTF-16": ("is no TOML", _toml().encode("utf-16")),
    "NULs": ("is no TOML", b"\0" * 100),
    "a pickle": ("is no TOML", b"\x80\x04cos\nsystem\n(Vecho\ntR."),
    "20,000 brackets": ("is no TOML", "layers = " + "[" * 20_000),
    "5,000 tables in one another": ("there is no setting 'a'", "a" + ".a" * 5_000 + " = 1"),
    "100,000 tables in one another": ("more than a file of settings has", "a" + ".a" * 100_000 + " = 1"),
    "two megabytes": ("more than a file of settings has", "# " + "x" * 2**21),
    "a key twice": ("is no TOML", _toml() + "pairs = 5\n"),
    "no value": ("is no TOML", "pairs =\n"),
    "an unknown key": ("there is no setting 'speed'", _toml(speed="9")),
    "a key with control characters": ("there is no setting", _toml() + '"\\u001b[31m" = 1\n'),
    "an empty key": ("there is no setting ''", _toml() + '"" = 1\n'),
    "a key as typed": ("there is no setting '--pairs'", _toml() + '"--pairs" = 5\n'),
    "a table that is none": ("there is no setting 'sweep'", _toml() + "[sweep]\nseed = 1\n"),
    "its own name as a key": ("there is no setting 'config'", _toml(config='"run.toml"')),
    "json": ("there is no setting 'json'", _toml(json="true")),
    "an option of another command": ("there is no setting 'strengths'", _toml(strengths="[1]")),
    "of another command": ("settings of `mllm-probe sweep`", _toml() + '[made_with]\ncommand = "sweep"\n'),
    "of a command that is a list": ("settings of", _toml() + '[made_with]\ncommand = ["vectors"]\n'),
    "made_with is a number": ("made_with is the table", _toml(made_with="5")),
    "made_with is a list of tables": ("made_with is the table", _toml() + "[[made_with]]\na = 1\n"),
}
_VALUES: list[tuple[str, str, str]] = [
    ("model", "5", "model"),
    ("model", '["scenes-8l", "scenes-4l"]', "model"),
    ("model", "true", "model"),
    ("model", "{}", "model"),
    ("model", '""', "There is no bundled model"),
    ("model", '"a\\u0000b"', "NUL"),
    ("model", "1979-05-27", "model"),
    ("library", "5", "there is no folder"),
    ("library", "[]", "library"),
    ("library", '"../../../etc"', "etc"),
    ("concepts", "5", "5"),
    ("concepts", '["cat", 5]', "5"),
    ("concepts", "[]", "concept"),
    ("concepts", '[["cat"]]', "unknown concept"),
    ("concepts", '"cat, neon"', "cat, neon"),
    ("concepts", "{ cat = 1 }", "cat"),
    ("pairs", "4.5", "pairs: expected a whole number; got 4.5"),
    ("pairs", '"four"', "pairs"),
    ("pairs", "true", "pairs"),
    ("pairs", "[4, 5]", "pairs"),
    ("pairs", "nan", "pairs"),
    ("pairs", "inf", "pairs"),
    ("pairs", "-4", "pairs"),
    ("pairs", "999999999999999999", "pairs"),
    ("pairs", "{}", "pairs"),
    ("pairs", "1979-05-27", "pairs"),
    ("fit", '"half"', "fit"),
    ("fit", "true", "fit"),
    ("fit", "nan", "fit"),
    ("fit", "inf", "fit"),
    ("fit", "-0.5", "fit"),
    ("fit", "[0.5]", "fit"),
    ("layers", "2.5", "layers"),
    ("layers", "[2.5]", "layers: expected a whole number; got 2.5"),
    ("layers", '["x"]', "layers"),
    ("layers", "[[2]]", "layers"),
    ("layers", "[99]", "no layer 99"),
    ("layers", "[-99]", "no layer -99"),
    ("layers", "{ a = 2 }", "layers"),
    ("layers", "true", "layers"),
    ("out", "5", "vectors are saved as"),
    ("out", "true", "vectors are saved as"),
    ("out", '["a.safetensors", "b.safetensors"]', "out"),
    ("out", '"a\\u0000.safetensors"', "NUL"),
    ("out", '"/nowhere/at/all/a.safetensors"', "there is no folder"),
    ("out", '"../no/a.safetensors"', "there is no folder"),
    ("seed", "0.5", "seed: expected a whole number; got 0.5"),
    ("seed", "-1", "seed"),
    ("seed", '"0"x', "is no TOML"),
    ("seed", "[]", "seed"),
    ("shuffled_draws", "1e3", "shuffled"),
    ("shuffled-draws", "-1", "shuffled_draws"),
    ("batch_size", "0", "batch_size"),
    ("batch_size", '"most"', "batch_size"),
    ("batch_size", "2.5", "batch_size"),
    ("probe_accuracy", '"perhaps"', "probe"),
    ("probe_accuracy", "7", "probe"),
    ("method", '"os.system"', "method"),
    ("method", "5", "method"),
    ("tokens", '"everything"', "tokens"),
    ("tokens", "[]", "tokens"),
    ("tokens", "5", "tokens"),
    ("dtype", '"int8"', "dtype"),
    ("dtype", "5", "dtype"),
    ("device", '"quantum"', "device"),
    ("device", "[]", "device"),
    ("trust_remote_code", '"perhaps"', "trust"),
    ("prompt", '"<image> x"', "image token"),
    ("prompt", "[]", "prompt"),
    ("groups", '"g.csv"', "groups: a setting of folders"),
    ("size", "0", "size"),
    ("size", "-224", "size"),
    ("size", "1e9", "size"),
    ("negative", '"both"', "negative"),
    ("categories", '["nonesuch"]', "nonesuch"),
    ("library_seed", "-1", "seed"),
    ("split_seed", '"x"', "split"),
]

TRIES = [
    *(_file(name, says, content) for name, (says, content) in _CONTENT.items()),
    *(_file(f"{key} = {value}", says, _toml(**{key: value})) for key, value, says in _VALUES),
    refused("settings: no file", "there is no settings file", "vectors", "--config", "run.toml"),
    refused("settings: no name", "there is no settings file", "vectors", "--config", ""),
    refused(
        "settings: a folder", "there is no settings file", "vectors", "--config", "run.toml", files={"run.toml/x": ""}
    ),
    refused(
        "settings: given twice",
        "config",
        "vectors",
        "--config",
        "a.toml",
        "--config",
        "b.toml",
        files={"a.toml": _toml(), "b.toml": _toml()},
    ),
    *(
        refused(
            f"settings: {command} of a vectors run",
            "there is no setting",
            command,
            *more,
            "--config",
            "run.toml",
            files={"run.toml": _toml()},
        )
        for command, more in (("export", ("a.zarr", "a.csv")), ("report", ("a", "b")))
    ),
]
