"""Arguments and settings files of the command line: each ends with status 2 and one line that says why."""

from __future__ import annotations

from tests.hostile.setting import Printed, Setting
from tests.hostile.tries import Try


def refused(name: str, says: str, *arguments: str, files: dict[str, str | bytes] | None = None) -> Try:
    """A command that is refused, in a folder with some files, and leaves no others behind."""

    def call(s: Setting) -> Printed:
        for path, content in (files or {}).items():
            file = s.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = sorted(s.folder.rglob("*"))
        result = s.command(*arguments)
        assert sorted(s.folder.rglob("*")) == before, "it left files behind"
        return result

    def right(result: Printed) -> bool:
        status, out, err = result
        *warned, line = err.removesuffix("\n").split("\n")
        return status == 2 and not out and line.startswith("mllm-probe: ") and line.isprintable() and says in line

    return Try("command line", name[:70], call, "result", right=right)


COMMANDS = {
    "capture": "capture --model scenes-8l --images {image} --layers 2 --out a.zarr",
    "vectors": "vectors --model scenes-8l --library scenes --concepts cat --pairs 4 --layers 2 --out a.safetensors",
    "sweep": "sweep --model scenes-8l --library scenes --concepts cat neon --pairs 4 --vectors {vectors} --layers 2 "
    "--strengths 1 --draws 4 --metrics logprob --store a.zarr",
}


def _with(command: str, option: str, *values: str) -> list[str]:
    """A command with another value of an option."""
    words = COMMANDS[command].split()
    if option not in words:
        return [*words, option, *values]
    start = words.index(option) + 1
    stop = next((n for n in range(start, len(words)) if words[n].startswith("--")), len(words))
    return [*words[:start], *values, *words[stop:]]


PLAIN: list[tuple[str, ...]] = [
    ("Unknown command", "nonesuch"), ("There is no bundled model ''", "verify", ""),
    ("Unused Tokens", "verify", "a", "b"), ("There is no bundled model", "verify", "\x1b[31mred\n"),
    ("there is no Zarr store at nowhere.zarr", "report", "nowhere.zarr", "page.html"),
    ("expected a folder, or an address", "report", "http://x.invalid/a.zarr", "page.html"),
    ("there is no settings file", "vectors", "--config", "/dev/null"),
    ("where.toml", "sweep", "no\x1b[31m\nwhere.toml"),
    ("csv: expected --csv or --json, not both", "effect", "nowhere.zarr", "--csv", "--json"),
    ("sweeps are exported as *.csv or *.html", "export", ".", "cells.xlsx"),
    ("exists and holds no store", "status", "/etc"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "nan"),
    ("no store at nowhere.zarr", "work", "nowhere.zarr", "--shard", "1/2"),
    ("shard: expected a text such as '3/16'", "work", "nowhere.zarr", "--shard", "\x1b[31m1/2"),
    ("workers: expected 1 … 256", "work", "nowhere.zarr", "--workers", "1000000"),
    ("not both", "work", "nowhere.zarr", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", "tcp://a:999999"),
    ("nonesuch", "studies", "bundled", "--only", "nonesuch", "--work", "work"),
]  # fmt: skip
OPTIONS: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("sweep", "there is no folder", "--library", ("\x1b[31m",)),
    ("sweep", "pairs: expected a whole number; got 4.5", "--pairs", ("4.5",)),
    ("sweep", "seed", "--library-seed", ("-1",)), ("sweep", "groups: a setting of folders", "--groups", ("g.csv",)),
    ("sweep", "cannot be read as safetensors", "--vectors", ("{image}",)),
    ("sweep", "strengths", "--strengths", ("1,2",)),
    ("sweep", "layers: expected a whole number; got 2.5", "--layers", ("2.5",)),
    ("sweep", "operation: expected one of", "--operation", ("os.system",)),
    ("sweep", "draws: expected a whole number; got 4.7", "--draws", ("4.7",)),
    ("sweep", "halves", "--halves", ("fit",)), ("sweep", "NUL", "--store", ("a\0b",)),
    ("sweep", "workers: expected 1 … 256", "--workers", ("0",)), ("sweep", "shard: expected a text", "--shard", ("x",)),
    ("capture", "red.png", "--images", ("\x1b[31mred.png",)), ("capture", "no image", "--images", ("{folder}",)),
    ("capture", "at least one image", "--images", ()), ("capture", "not both", "--library", ("scenes",)),
    ("capture", "batch_size: expected a whole number; got 1.5", "--batch-size", ("1.5",)),
    ("capture", "exists and is not a store of activations", "--out", ("",)),
    ("capture", "exists and is not a store of activations", "--out", ("/",)),
    ("vectors", ".gguf", "--out", ("a.pickle",)), ("vectors", "too long", "--out", ("x" * 300 + ".safetensors",)),
    ("vectors", "unable to convert", "--batch-size", ("zero",)),
]  # fmt: skip
FOREIGN: list[tuple[str, str, list[str], dict[str, str | bytes]]] = [
    *((f"{command}: its settings' name is taken", "no command wrote", COMMANDS[command].split(), {file: "a = 1"})
      for command, file in (("capture", "a.zarr.toml"), ("vectors", "a.safetensors.toml"), ("sweep", "a.zarr.toml"))),
    ("sweep: its settings' name is a folder", "no command wrote it", COMMANDS["sweep"].split(), {"a.zarr.toml/x": ""}),
    ("sweep: its own settings would be written over", "no command wrote it",
     [*_with("sweep", "--store", "run"), "--config", "run.toml"], {"run.toml": "seed = 0\n"}),
    ("sweep: a folder of somebody", "exists and holds no", COMMANDS["sweep"].split(), {"a.zarr/thesis.tex": "mine"}),
    ("sweep: below a file", "could not be written", _with("sweep", "--store", "a.zarr/b"), {"a.zarr": "mine"}),
    ("capture --overwrite: a folder of somebody", "is left as it is", [*COMMANDS["capture"].split(), "--overwrite"],
     {"a.zarr/thesis.tex": "mine"}),
]  # fmt: skip
"""Files of somebody else, which are left as they are."""
_GOOD = {
    "model": '"scenes-8l"', "library": '"scenes"', "concepts": '["cat"]', "pairs": "4", "layers": "[2]",
    "out": '"a.safetensors"',
}  # fmt: skip


def _toml(**changes: str) -> str:
    return "".join(f"{key} = {value}\n" for key, value in (_GOOD | changes).items())


CONTENT: dict[str, tuple[str, str | bytes]] = {
    "JSON": ("is no TOML", '{"model": "scenes-8l"}'), "a byte order mark": ("is no TOML", "\ufeff" + _toml()),
    "latin-1": ("is no TOML", 'prompt = "caf\xe9"'.encode("latin-1")),
    "a pickle": ("is no TOML", b"\x80\x04cos\nsystem\n(Vecho\ntR."),
    "20,000 brackets": ("is no TOML", "layers = " + "[" * 20_000),
    "two megabytes": ("more than a file of settings has", "# " + "x" * 2**21),
    "a key twice": ("is no TOML", _toml() + "pairs = 5\n"),
    "an unknown key": ("there is no setting 'speed'", _toml(speed="9")),
    "a key with control characters": ("there is no setting", _toml() + '"\\u001b[31m" = 1\n'),
    "its own name as a key": ("there is no setting 'config'", _toml(config='"run.toml"')),
    "an option of another command": ("there is no setting 'strengths'", _toml(strengths="[1]")),
    "of another command": ("settings of `mllm-probe sweep`", _toml() + '[made_with]\ncommand = "sweep"\n'),
    "of a command that is a list": ("settings of", _toml() + '[made_with]\ncommand = ["vectors"]\n'),
}  # fmt: skip
WRONG = ("true", "4.5", "nan", "{}", "1979-05-27", '"nonesuch"', '[["x"]]')
"""Values of TOML that are wrong for nearly every setting."""
VALUES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{key: (key, (*WRONG, "-4")) for key in ("pairs", "fit", "seed", "shuffled_draws", "batch_size", "size", "model")},
    **{key: (key, WRONG) for key in ("method", "tokens", "dtype", "device", "negative")},
    "library_seed": ("seed", WRONG), "split_seed": ("seed", WRONG), "layers": ("layer", (*WRONG, "[2.5]", "[99]")),
    "concepts": ("concept", ("5", "[]", '["cat", 5]', '[["cat"]]', '"cat, neon"', "{ cat = 1 }")),
    "probe_accuracy": ("probe", ('"perhaps"', "7")), "trust_remote_code": ("trust", ('"perhaps"',)),
    "categories": ("nonesuch", ('["nonesuch"]',)), "out": ("vectors are saved as", ("5", "true")),
}  # fmt: skip
"""Wrong values of settings, with what errors call the setting."""

TRIES = [
    *(refused(" ".join(map(repr, words)), says, *words) for says, *words in PLAIN),
    *(refused(f"{command} {option} {' '.join(values)!r}", says, *_with(command, option, *values))
      for command, says, option, values in OPTIONS),
    *(refused(name, says, *words, files=files) for name, says, words, files in FOREIGN),
    *(refused(f"settings: {name}", says, "vectors", "--config", "run.toml", files={"run.toml": content})
      for name, (says, content) in CONTENT.items()),
    *(refused(f"settings: {key} = {value}", says, "vectors", "--config", "run.toml",
              files={"run.toml": _toml(**{key: value})}) for key, (says, values) in VALUES.items() for value in values),
    refused("settings: given twice", "config", "vectors", "--config", "a.toml", "--config", "b.toml",
            files={"a.toml": _toml(), "b.toml": _toml()}),
    refused("settings: export of a vectors run", "there is no setting", "export", "a.zarr", "a.csv", "--config",
            "run.toml", files={"run.toml": _toml()}),
]  # fmt: skip
