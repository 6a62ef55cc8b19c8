"""Files that ship beside the code, circuits and hardware profiles: yours first, then those of the package."""

from __future__ import annotations

from pathlib import Path

from qeqprop.names import suggestion

_PACKAGE = Path(__file__).parent


def find_stored(name: str, folder: str, *, argument: str = "name") -> Path:
    """The file of that name.

    Looked for as it stands (absolute, or in the folder you work in), then in ``folder/`` of the folder you work in, of
    the installed package, and of the checkout (an editable install does not see what only the wheel includes).

    Args:
        name: of the file, such as ``kingston_8.toml``.
        folder: ``circuits`` or ``hardware_profiles``.
        argument: what the caller calls the name, for the message.

    Raises:
        ValueError: if there is no such file.
    """
    for place in (Path(), *_folders(folder)):
        if name and (place / name).is_file():
            return place / name
    hint = suggestion(name, stored_names(folder))
    raise ValueError(f"Argument `{argument}` must name a file here or in {folder}/, but is {name!r}{hint}.")


def stored_names(folder: str) -> list[str]:
    """The names of all files that `find_stored` finds in a folder of that name, sorted."""
    found = {path.name for place in _folders(folder) if place.is_dir() for path in place.iterdir()}
    return sorted(name for name in found if not name.endswith(".md"))


def _folders(folder: str) -> list[Path]:
    return [Path(folder), _PACKAGE / folder, _PACKAGE.parent / folder]
