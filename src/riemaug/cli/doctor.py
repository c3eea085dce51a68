"""`riemaug doctor`: what this installation has to work with, and what is amiss."""

from typing import Any

import typer

from riemaug.cli import options


def doctor(
    json: options.Json = False, quiet: options.Quiet = False, log_level: options.LogLevel = "info"
) -> None:
    """Say which versions, devices, cores, memory and extras there are, and warn of what will not work.

    Ends with 0 whatever it finds; --quiet prints the warnings alone.

    Example: riemaug doctor --json
    """
    from riemaug.cli.text import printable
    from riemaug.diagnosis import diagnose

    found = diagnose()
    if json:
        import json as json_module

        typer.echo(json_module.dumps(found))
        return
    lines = [] if quiet else _lines(found)
    lines += [f"warning: {text}" for text in found["warnings"]]
    if not quiet and not found["warnings"]:
        lines.append("nothing is amiss")
    for line in lines:
        typer.echo(printable(line))


def _lines(found: dict[str, Any]) -> list[str]:
    from riemaug.cli.text import size

    cores, room, place = found["cores"], found["memory"], found["temporary_folder"]
    memory = f"{size(room['free'])} free of {size(room['limit'] or room['machine'])}"
    folder = f"{size(place['free'])} free" if place["writable"] else "cannot be written to"
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items())
    return [
        f"riemaug {found['riemaug']}, Python {found['python']}, {found['platform']}",
        f"packages: {versions}",
        *[_device_line(device) for device in found["devices"]],
        f"cores: {cores['usable']} usable of {cores['machine']}; PyTorch takes {found['threads']['torch']}",
        f"memory: {memory}",
        f"temporary folder: {place['path']}, {folder}",
        *[_extra_line(name, extra) for name, extra in found["extras"].items()],
        *[f"environment: {name}={value}" for name, value in found["environment"].items()],
    ]


def _device_line(device: dict[str, Any]) -> str:
    from riemaug.cli.text import size

    memory = f", {size(device['memory'])}" if "memory" in device else ""
    return f"device: {device['name']}, {device['what']}{memory}"


def _extra_line(name: str, extra: dict[str, Any]) -> str:
    if extra["installed"]:
        held = ", ".join(f"{package} {version}" for package, version in extra["packages"].items())
        return f"extra {name}: {held}"
    return f"extra {name}: not installed; {extra['install']}"
