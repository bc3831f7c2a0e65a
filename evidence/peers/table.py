"""Print the table of errors and costs, and draw the Pareto plot, from the results on disk.

    python table.py [--folder runs/evidence/peers] [--speed speed.json] [--out evidence/peers/results]

Writes `table.md`, `pareto.svg` and `results.json`; prints the table. What is missing is left empty.
"""

import argparse
import pathlib

import common

PEERS = {
    "potstill": ("potstill", "o", "#c1121f"),
    "mace": ("MACE", "s", "#1d3557"),
    "linear_ace": ("linear ACE", "^", "#2a9d8f"),
    "mtp": ("MTP", "v", "#e9a23b"),
    "polynomial": ("polynomial", "D", "#7b5ea7"),
    "nep": ("NEP", "P", "#6c757d"),
}


def collect(folder, speed, potentials):
    rows = []
    for entry in common.read_json(potentials):
        fits = folder / "fits" / entry["name"]
        if not (fits / "fit.json").exists():
            continue
        fitted = common.read_json(fits / "fit.json")
        chosen = next(one for one in fitted["tried"] if one["folder"] == fitted["best"])
        rows.append(
            {
                "name": entry["name"],
                "peer": entry["peer"],
                "label": entry["label"],
                "settings": fitted["settings"],
                "validation": chosen["validation"],
                "fit_processor_seconds": chosen["processor_seconds"],
                "tests": common.read_json(fits / "errors.json") if (fits / "errors.json").exists() else {},
                "speed": speed.get("medians", {}).get(entry["name"], {}),
            }
        )
    return rows


# Which time the table shows; `--processor` is for machines that do other things meanwhile.
TIME = "microseconds"


def cost(row, work, way):
    """Median µs per atom and step; None where it was not measured."""
    measured = row["speed"].get(f"{work} {way}")
    return measured and measured[TIME]


def fastest(row):
    """For one molecule: the peer's fastest way, be it a call with arrays or its own dynamics."""
    times = [cost(row, "molecule", way) for way in ("own", "dynamics", "ase")]
    return min((time for time in times if time), default=None)


def number(value):
    """About three figures."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def markdown(rows):
    kinds = "energy MAE, RMSE; forces MAE, RMSE"
    heads = ["potential", f"300 K: {kinds}", f"600 K: {kinds}", "one molecule", "with ASE", "960 atoms", "with ASE"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row["label"]]
        for test in common.TESTS:
            errors = row["tests"].get(test)
            keys = ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse")
            energy_mae, energy_rmse, forces_mae, forces_rmse = (number(errors[key]) if errors else "" for key in keys)
            cells.append(f"{energy_mae}, {energy_rmse}; **{forces_mae}**, {forces_rmse}" if errors else "")
        own = number(fastest(row))
        cells.append(f"**{own}**" if own else "")
        cells += [number(cost(row, *measured)) for measured in (("molecule", "ase"), ("box", "own"), ("box", "ase"))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows, path):
    import matplotlib

    matplotlib.use("svg" if path.suffix == ".svg" else "agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullFormatter

    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "potstill", "font.size": 10})
    costs = {"one molecule (15 atoms)": fastest, "960 atoms": lambda row: cost(row, "box", "own")}
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 8), sharey="row", layout="constrained")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for line, test in zip(axes, common.TESTS):
        for panel, (title, of) in zip(line, costs.items()):
            for peer, (name, marker, colour) in PEERS.items():
                drawn = [row for row in rows if row["peer"] == peer and test in row["tests"] and of(row)]
                points = [(of(row), row["tests"][test]["forces_mae"]) for row in drawn]
                if points:
                    panel.plot(*zip(*sorted(points)), marker=marker, color=colour, label=name, linewidth=1, markersize=7)
            panel.set(xscale="log", yscale="log", xlabel=f"µs per atom and step, {title}", title=f"test at {test}")
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter(plain)
                axis.set_minor_formatter(NullFormatter())
            panel.grid(True, which="both", linewidth=0.3, alpha=0.5)
        line[0].set_ylabel("force MAE, meV/Å")
    axes[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=common.RESULTS)
    parser.add_argument("--speed", type=pathlib.Path, help="default: speed.json in the folder")
    parser.add_argument("--potentials", type=pathlib.Path, default=common.HERE / "potentials.json")
    parser.add_argument("--out", type=pathlib.Path, default=common.HERE / "results")
    parser.add_argument("--processor", action="store_true", help="show the time of the processor instead of that on the clock")
    args = parser.parse_args()
    if args.processor:
        globals()["TIME"] = "processor_microseconds"
    speed_file = args.speed or args.folder / "speed.json"
    speed = common.read_json(speed_file) if speed_file.exists() else {}
    rows = collect(args.folder, speed, args.potentials)
    machine = speed.get("machine", {})
    text = markdown(rows)
    args.out.mkdir(parents=True, exist_ok=True)
    common.write_json(args.out / "results.json", {"machine": machine, "failed": speed.get("failed", []), "rows": rows})
    (args.out / "table.md").write_text(text + "\n")
    plot(rows, args.out / "pareto.svg")
    print(text)
    if machine:
        loads = f"{machine['load_before']:.1f} and {machine['load_after']:.1f}"
        print(f"\n{machine['processor']}, one core; load of the machine before and after: {loads}")
    for failed in speed.get("failed", []):
        print(f"not timed: {failed['name']}, {failed['work']}, {failed['way']}: {failed['error']}")


if __name__ == "__main__":
    main()
