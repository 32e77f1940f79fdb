"""Arguments of the command line; each ends with the exit status 2 and one line that says why."""

from __future__ import annotations

from tests.hostile.setting import Printed, Setting
from tests.hostile.tries import Try

AREA = "command line"


def refused(name: str, says: str, *arguments: str, files: dict[str, str | bytes] | None = None) -> Try:
    """A command that is refused, in a folder with some files."""

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

    return Try(AREA, name, call, "result", right=right)


CAPTURE = ("capture", "--model", "scenes-8l", "--images", "{image}", "--layers", "2", "--out", "a.zarr")
VECTORS = (
    "vectors",
    "--model",
    "scenes-8l",
    "--library",
    "scenes",
    "--concepts",
    "cat",
    "--pairs",
    "4",
    "--layers",
    "2",
    "--out",
    "a.safetensors",
)
SWEEP = (
    "sweep",
    "--model",
    "scenes-8l",
    "--library",
    "scenes",
    "--concepts",
    "cat",
    "neon",
    "--pairs",
    "4",
    "--vectors",
    "{vectors}",
    "--layers",
    "2",
    "--strengths",
    "1",
    "--draws",
    "4",
    "--metrics",
    "logprob",
    "--store",
    "a.zarr",
)


def _with(command: tuple[str, ...], option: str, *values: str) -> tuple[str, ...]:
    """A command with another value of an option."""
    if option not in command:
        return (*command, option, *values)
    start = command.index(option) + 1
    stop = next((n for n in range(start, len(command)) if command[n].startswith("--")), len(command))
    return (*command[:start], *values, *command[stop:])


_PLAIN: list[tuple[str, ...]] = [
    ("Unknown command", "nonesuch"),
    ("Unknown command", "--nonesuch"),
    ("Unknown command", ""),
    ("requires an argument", "verify"),
    ("There is no bundled model ''", "verify", ""),
    ("There is no bundled model 'nonesuch'", "verify", "nonesuch"),
    ("Expected a folder with a model", "verify", "./nowhere"),
    ("Unused Tokens", "verify", "a", "b"),
    ("dtype: expected", "verify", "scenes-4l", "--dtype", "float99"),
    ("There is no bundled model", "verify", "\x1b[31mred\n"),
    ("nonesuch", "families", "nonesuch"),
    ("famil", "families", ""),
    ("Unknown option", "families", "--more"),
    ("requires an argument", "report"),
    ("there is no Zarr store at nowhere.zarr", "report", "nowhere.zarr", "page.html"),
    ("requires an argument", "report", "nowhere.zarr", "page.html", "--metric"),
    ("expected a folder, or an address", "report", "http://x.invalid/a.zarr", "page.html"),
    ("There is no bundled model ''", "describe", ""),
    ("Expected a folder with a model", "describe", "../../nowhere"),
    ("There is no bundled model", "describe", "scenes-8l\x1b[31m"),
    ("there is no settings file", "vectors", "--config", "."),
    ("there is no settings file", "vectors", "--config", "/dev/null"),
    ("requires an argument", "sweep"),
    ("where.toml", "sweep", "no\x1b[31m\nwhere.toml"),
    ("there is no Zarr store at nowhere.zarr", "effect", "nowhere.zarr"),
    ("there is no Zarr store at .", "effect", ".", "--best"),
    ("csv: expected --csv or --json, not both", "effect", "nowhere.zarr", "--csv", "--json"),
    ("there is no Zarr store at nowhere.zarr", "export", "nowhere.zarr", "cells.csv"),
    ("sweeps are exported as *.csv or *.html", "export", ".", "cells.xlsx"),
    ("sweeps are exported as *.csv or *.html", "export", ".", "cells.CSV"),
    ("there is no folder 'no'", "export", "nowhere.zarr", "no/cells.csv"),
    ("is a folder", "export", "nowhere.zarr", "."),
    ("no store at nowhere.zarr", "status", "nowhere.zarr"),
    ("no store at nowhere.zarr", "status", "nowhere.zarr", "--check"),
    ("exists and holds no store", "status", "/etc"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "-1"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "0"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "nan"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "inf"),
    ("every: expected 0.1", "status", "nowhere.zarr", "--every", "1e300"),
    ("soon", "status", "nowhere.zarr", "--every", "soon"),
    ("no store at nowhere.zarr", "work", "nowhere.zarr"),
    ("no store at nowhere.zarr", "work", "nowhere.zarr", "--shard", "1/2"),
    ("workers: expected 1 … 256", "work", "nowhere.zarr", "--workers", "0"),
    ("workers: expected 1 … 256", "work", "nowhere.zarr", "--workers", "-3"),
    ("workers: expected 1 … 256", "work", "nowhere.zarr", "--workers", "1000000"),
    ("workers: expected a whole number; got 1.5", "work", "nowhere.zarr", "--workers", "1.5"),
    ("not both", "work", "nowhere.zarr", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", ""),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", "localhost"),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", "tcp://"),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", "tcp://a b:1"),
    ("scheduler: expected an address", "work", "nowhere.zarr", "--scheduler", "tcp://a:999999"),
    ("Unknown command", "studies", "nonesuch"),
    ("model", "studies", "bundled", "--model", "nonesuch", "--work", "work"),
    ("nonesuch", "studies", "bundled", "--only", "nonesuch", "--work", "work"),
    ("processes", "studies", "bundled", "--processes", "0", "--work", "work"),
    ("nonesuch", "models", "get", "nonesuch"),
]
SHARDS = (
    "",
    "3",
    "0/2",
    "3/2",
    "1/0",
    "1/2/3",
    " 1/2",
    "1/2 ",
    "1/2\n",
    "a/b",
    "1.0/2",
    "+1/2",
    "1e0/2",
    "1/-2",
    "\u0661/\u0662",
    "1/" + "9" * 5000,
    "../../x",
    "\x1b[31m1/2",
)
_SWEEP: list[tuple[str, str, tuple[str, ...]]] = [
    ("requires an argument", "--library", ()),
    ("there is no folder", "--library", ("./nowhere",)),
    ("there is no folder", "--library", ("\x1b[31m",)),
    ("zebra", "--concepts", ("zebra",)),
    ("nonesuch", "--categories", ("nonesuch",)),
    ("pairs", "--pairs", ("0",)),
    ("pairs", "--pairs", ("-1",)),
    ("pairs: expected a whole number; got 4.5", "--pairs", ("4.5",)),
    ("pairs", "--pairs", ("1e9",)),
    ("negative", "--negative", ("nothing",)),
    ("size", "--size", ("0",)),
    ("size", "--size", ("1000000",)),
    ("seed", "--library-seed", ("-1",)),
    ("library_seed: expected a whole number; got 0.5", "--library-seed", ("0.5",)),
    ("groups: a setting of folders", "--groups", ("g.csv",)),
    ("fit", "--fit", ("0",)),
    ("fit", "--fit", ("1.5",)),
    ("fit", "--fit", ("-1",)),
    ("fit", "--fit", ("nan",)),
    ("seed", "--split-seed", ("-1",)),
    ("nowhere.safetensors", "--vectors", ("nowhere.safetensors",)),
    ("There is no file of vectors", "--vectors", (".",)),
    ("cannot be read as safetensors", "--vectors", ("{image}",)),
    ("strengths", "--strengths", ("nan",)),
    ("strengths", "--strengths", ("inf",)),
    ("strengths", "--strengths", ("1,2",)),
    ("strengths", "--strengths", ("x",)),
    ("no layer 99", "--layers", ("99",)),
    ("layers: expected a whole number; got 2.5", "--layers", ("2.5",)),
    ("layers", "--layers", ("x",)),
    ("layers", "--layers", ("2", "2")),
    ("tokens: expected", "--tokens", ("nonesuch",)),
    ("unit: expected one of", "--unit", ("parsec",)),
    ("operation: expected one of", "--operation", ("os.system",)),
    ("to=", "--to", ("cat",)),
    ("unknown metric 'iq'", "--metrics", ("iq",)),
    ("unknown control 'placebo'", "--controls", ("placebo",)),
    ("draws", "--draws", ("0",)),
    ("draws", "--draws", ("-4",)),
    ("draws", "--draws", ("1000000000",)),
    ("draws: expected a whole number; got 4.7", "--draws", ("4.7",)),
    ("seed", "--seed", ("-1",)),
    ("max_new_tokens", "--max-new-tokens", ("0",)),
    ("unknown recording 'x'", "--record", ("x",)),
    ("no layer 99", "--read-layers", ("99",)),
    ("halves", "--halves", ("fit",)),
    ("dtype", "--dtype", ("int8",)),
    ("device", "--device", ("quantum",)),
    ("NUL", "--store", ("a\0b",)),
    ("workers: expected 1 … 256", "--workers", ("0",)),
]
_CAPTURE: list[tuple[str, str, tuple[str, ...]]] = [
    ("red.png", "--images", ("\x1b[31mred.png",)),
    ("no image", "--images", ("{folder}",)),
    ("at least one image", "--images", ()),
    ("not both", "--library", ("scenes",)),
    ("no layer 99", "--layers", ("99",)),
    ("tokens: expected", "--tokens", ("nonesuch",)),
    ("position", "--tokens", ("1000000",)),
    ("batch_size", "--batch-size", ("0",)),
    ("batch_size: expected a whole number; got 1.5", "--batch-size", ("1.5",)),
    ("at least one token", "--continuation", ("",)),
    ("exists and is not a store of activations", "--out", (".",)),
    ("exists and is not a store of activations", "--out", ("",)),
    ("exists and is not a store of activations", "--out", ("{image}",)),
    ("exists and is not a store of activations", "--out", ("/",)),
    ("NUL", "--out", ("a\0b",)),
    ("image token", "--prompt", ("<image> hi",)),
]
_VECTORS: list[tuple[str, str, tuple[str, ...]]] = [
    ("there is no folder", "--out", ("no/a.safetensors",)),
    ("is a folder", "--out", (".",)),
    ("is a folder", "--out", ("",)),
    (".gguf", "--out", ("a.pickle",)),
    ("too long", "--out", ("x" * 300 + ".safetensors",)),
    ("NUL", "--out", ("a\0b.safetensors",)),
    ("method: expected one of", "--method", ("magic",)),
    ("tokens", "--tokens", ("nonesuch",)),
    ("tokens", "--tokens", ("generated",)),
    ("shuffled_draws", "--shuffled-draws", ("-1",)),
    ("shuffled_draws: expected a whole number; got 2.5", "--shuffled-draws", ("2.5",)),
    ("unable to convert", "--batch-size", ("zero",)),
    ("seed", "--seed", ("-1",)),
]
_NAMED = "mine = 1\n"

TRIES = [
    *(refused(" ".join(map(repr, words)), says, *words) for says, *words in _PLAIN),
    *(
        refused(
            f"work --shard {one[:20]!r}",
            "shard: expected a text such as '3/16'",
            "work",
            "nowhere.zarr",
            "--shard",
            one,
        )
        for one in SHARDS[1:]
    ),
    *(
        refused(f"sweep {option} {' '.join(values)!r}"[:60], says, *_with(SWEEP, option, *values))
        for says, option, values in _SWEEP
    ),
    *(refused(f"sweep --shard {one!r}", "shard: expected a text", *SWEEP, "--shard", one) for one in ("3/2", "x")),
    *(
        refused(f"capture {option} {' '.join(values)!r}"[:60], says, *_with(CAPTURE, option, *values))
        for says, option, values in _CAPTURE
    ),
    *(
        refused(f"vectors {option} {' '.join(values)!r}"[:60], says, *_with(VECTORS, option, *values))
        for says, option, values in _VECTORS
    ),
    refused("capture: its settings' name is taken", "no command wrote it", *CAPTURE, files={"a.zarr.toml": _NAMED}),
    refused(
        "vectors: its settings' name is taken", "no command wrote it", *VECTORS, files={"a.safetensors.toml": _NAMED}
    ),
    refused("sweep: its settings' name is taken", "no command wrote it", *SWEEP, files={"a.zarr.toml": _NAMED}),
    refused("sweep: its settings' name is a folder", "no command wrote it", *SWEEP, files={"a.zarr.toml/x": "mine"}),
    refused(
        "sweep: its own settings would be written over",
        "no command wrote it",
        *_with(SWEEP, "--store", "run"),
        "--config",
        "run.toml",
        files={"run.toml": "seed = 0\n"},
    ),
    refused(
        "report: its settings' name is taken",
        "no command wrote it",
        "report",
        "x.zarr",
        "a.html",
        files={"a.html.toml": _NAMED},
    ),
    refused(
        "export: its settings' name is taken",
        "no command wrote it",
        "export",
        "x.zarr",
        "a.csv",
        files={"a.csv.toml": _NAMED},
    ),
    refused("sweep: a folder of somebody else", "exists and holds no", *SWEEP, files={"a.zarr/thesis.tex": "mine"}),
    refused("sweep: a file", "exists and holds no", *SWEEP, files={"a.zarr": "mine"}),
    refused(
        "sweep: below a file", "could not be written", *_with(SWEEP, "--store", "a.zarr/b"), files={"a.zarr": "mine"}
    ),
    refused(
        "capture --overwrite: a folder of somebody else",
        "is left as it is",
        *CAPTURE,
        "--overwrite",
        files={"a.zarr/thesis.tex": "mine"},
    ),
]
