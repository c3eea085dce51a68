"""The results as tables: on the terminal, and between two marks of a Markdown page."""

from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .targets import all_targets

_BEGIN = "<!-- results: written by benchmarks/samplers.py --docs, do not edit -->"
_END = "<!-- end of results -->"


@dataclass(frozen=True)
class Sheet:
    """A table of words: a title, column names, rows."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def on_terminal(self) -> Table:
        """Return the table for a terminal."""
        table = Table(*self.columns, title=self.title)
        for row in self.rows:
            table.add_row(*row)
        return table

    def in_markdown(self) -> str:
        """Return the table as Markdown under a heading."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"### {self.title}\n\n{table}"


def show(results: dict, console: Console) -> list[dict]:
    """Print the tables and return the targets as JSON values."""
    for sheet in all_sheets(results):
        console.print(sheet.on_terminal())
    for sentence in _left_out(results):
        console.print(sentence)
    return [asdict(target) | {"met": target.is_met} for target in all_targets(results)]


def write_page(results: dict, page: Path) -> None:
    """Replace what is between the marks of a Markdown page by the tables.

    Raises
    ------
    ValueError
        The page lacks a mark.
    """
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} must hold the lines {_BEGIN} and {_END}")
    page.write_text(f"{before}{_BEGIN}\n\n{in_markdown(results)}\n\n{_END}{after}")


def in_markdown(results: dict) -> str:
    """Return how the results were got, and their tables, as Markdown."""
    about = results["machine"]
    versions = _versions(about["versions"] | {"Python": about["python"]})
    peers = [row["versions"] for row in results.get("pythae", {}).values() if "versions" in row]
    paragraphs = [
        f"`{results['command']}`, {results['date'][:10]}: {about['processor']}, {about['cores']} cores, "
        f"{about['threads']} thread used, {about['memory_gb']} GB; load average {about['load_average']} at "
        f"the start, {results['load_average_at_end']} at the end. {versions}."
        + (f" Peers' environment: {_versions(peers[0])}." if peers else ""),
        *_left_out(results),
        *(sheet.in_markdown() for sheet in all_sheets(results)),
    ]
    return "\n\n".join(paragraphs)


def _versions(numbers: dict) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number)


def all_sheets(results: dict) -> list[Sheet]:
    """Return the tables that have rows."""
    makers = (_rates, _counts, _measurements, _laws, _large, _judged)
    return [sheet for sheet in (make(results) for make in makers) if sheet.rows]


def _left_out(results: dict) -> list[str]:
    """Return a sentence for each metric that pythae was not run on."""
    rows = results.get("pythae", {}).items()
    return [f"pythae, {name}: left out, {row['left_out']}" for name, row in rows if "left_out" in row]


def _rates(results: dict) -> Sheet:
    columns = ("precision", "GEMM 1024^3, GFLOP/s", "exp, torch, G/s", "exp, numpy, G/s")
    rows = [
        (name, *(f"{1e-9 * rate[key]:.2f}" for key in ("gemm", "exp_torch", "exp_numpy")))
        for name, rate in results.get("rates", {}).items()
    ]
    return Sheet("Rates of one thread", columns, rows)


def _counts(results: dict) -> Sheet:
    columns = (
        "metric",
        "exponentials",
        "flops",
        "float64",
        "with torch's exp",
        "float32",
        "with torch's exp",
    )
    rows = [
        (
            name, f"{1e-6 * floor['exponentials']:,.1f} M", f"{1e-6 * floor['flops']:,.0f} M",
            *(_time(floor[precision][key]) for precision in ("float64", "float32")
              for key in ("seconds", "seconds_with_torch_exp")),
        )
        for name, floor in results.get("floor", {}).items()
    ]  # fmt: skip
    return Sheet("Floor of one step of the walk", columns, rows)


def _measurements(results: dict) -> Sheet:
    """Return times and rates of all samplers."""
    columns = ("metric", "what", "a step", "draws/s", "effective draws/s")
    rows: list[tuple[str, ...]] = []
    for name, row in results.get("walk", {}).items():
        rows.append((name, "printed walk, riemaug, float64", _time(row["seconds_a_step"]), "", ""))
        single = _time(row["seconds_a_step_float32"])
        rows.append((name, "the same operations on a float32 metric", single, "", ""))
    for part, words in (("published", "printed walk, published form"), ("pythae", "pythae's RHVAESampler")):
        for name, row in results.get(part, {}).items():
            if "seconds_a_step" in row:
                rate = f"{row['draws_per_second']:,.2f}"
                rows.append((name, words, _time(row["seconds_a_step"]), rate, f"at most {rate}"))
            if worth := row.get("ess_per_second_of_its_own_law"):
                rows.append(
                    (name, "the same, all its states, by ESS for its own law", "", "", f"{worth:,.0f}")
                )
    for name, floor in results.get("floor", {}).items():
        reference = _time(floor["reference_seconds_scaled"])
        rows.append((name, "published form, reference time scaled by GEMM rate", reference, "", ""))
    for name, row in results.get("mixture", {}).items():
        rates = (f"{row[key]:,.0f}" for key in ("draws_per_second", "effective_draws_per_second"))
        rows.append((name, f"mixture, riemaug; setup {_time(row['setup_seconds'])} apart", "", *rates))
        for number, rate in row["with_setup"].items():
            rows.append((name, f"the same, setup counted, {number} draws", "", "", f"{rate:,.0f}"))
    for name, row in results.get("chains", {}).items():
        for kernel, chain in row.items():
            if isinstance(chain, dict):
                worth = f"{chain['ess_per_second']:,.0f}"
                rows.append((name, f"{kernel}, riemaug", _time(chain["seconds_a_step"]), "", worth))
    return Sheet("Times and rates", columns, rows)


def _laws(results: dict) -> Sheet:
    """Return the distances of all draws from pi on S."""
    columns = (
        "metric", "sampler", "draws", "outside S", "KS, log pi", "KS, z_1", "in S: log pi", "in S: z_1",
        "noise, 95 %", "pi?",
    )  # fmt: skip
    rows = []
    for name, row in results.get("laws", {}).items():
        for sampler, law in row["samplers"].items():
            distances = [
                part.get(key, 1.0)
                for part in (law, law["inside_support"])
                for key in ("ks_log_density", "ks_first_coordinate")
            ]
            rows.append((
                name, sampler, f"{law['num_draws']:,}", f"{law['share_outside_support']:.1%}",
                *(f"{distance:.4f}" for distance in distances), f"{law.get('noise_95', 0):.4f}",
                "yes" if law["agrees"] else "NO",
            ))  # fmt: skip
    return Sheet("Kolmogorov-Smirnov distances from pi on S", columns, rows)


def _large(results: dict) -> Sheet:
    """Return cost and memory as the number of centroids grows."""
    columns = ("d", "N", "setup", "a draw, us", "peak, MB", "more for 4x draws, MB")
    rows: list[tuple[str, ...]] = []
    for row in results.get("large-n", []):
        first = (str(row["dim"]), f"{row['num_centroids']:,}")
        if "failed" in row:
            rows.append((*first, row["failed"], "", "", ""))
            continue
        draws = row["peak_mb"]["draws"]
        more = draws[-1]["peak"] - draws[-2]["peak"] if len(draws) > 1 else None
        kept = draws[-1]["kept_draws"] - draws[-2]["kept_draws"] if len(draws) > 1 else 0.0
        growth = "" if more is None else f"{more:.0f}, of which kept draws {kept:.0f}"
        cost, peak = f"{row['microseconds_a_draw']:.2f}", f"{draws[-1]['peak']:,.0f}"
        rows.append((*first, _time(row["setup_seconds"]), cost, peak, growth))
    return Sheet("Mixture sampler, number of centroids at equal density", columns, rows)


def _judged(results: dict) -> Sheet:
    rows = []
    for target in all_targets(results):
        bound = f"{'at least' if target.at_least else 'at most'} {_number(target.bound)}"
        rows.append((target.name, _number(target.value), bound, "yes" if target.is_met else "NO"))
    return Sheet("Targets", ("target", "measured", "asked for", "met"), rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:,.2f} ms"
