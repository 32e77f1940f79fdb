"""Commands that run studies."""

from __future__ import annotations

from mllm_probe.cli.model_settings import Names
from mllm_probe.cli.printed_results import AsJson, alone_on_stdout, show
from mllm_probe.cli.run_settings import Config, settings_beside, write_settings


def bundled_studies(
    *,
    out: str = "report.html",
    work: str | None = None,
    processes: int = 2,
    model: Names = None,
    only: Names = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run every study on every bundled model and write one offline page. Started again, it goes on where it stopped.

    Parameters
    ----------
    out
        The page to write.
    work
        Folder where runs and results are kept; in the user's cache by default.
    processes
        Of one thread each.
    model
        Some of the models; all by default.
    only
        Some of the studies; all by default.

    Examples
    --------
    $ mllm-probe studies bundled --out studies.html --only atlas
    """
    from mllm_probe.reports.bundled_studies import default_work, run_bundled_studies

    settings_beside(out)
    folder = default_work() if work is None else work
    with alone_on_stdout(as_json):
        lines = run_bundled_studies(folder, out, processes=processes, models=model, only=only)
    settings = {"out": out, "work": work, "processes": processes, "model": model, "only": only}
    written = write_settings("studies bundled", out, settings)
    show("\n".join(lines), {"page": out, "settings": written, "summary": lines}, as_json)
