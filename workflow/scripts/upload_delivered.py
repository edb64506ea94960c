"""Upload a delivered model to a private repository on the hub; without --upload yes only list what would be sent."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.delivery.check import delivered_folders
from shallower.delivery.upload import plan_upload, upload


def chosen_folder(root: Path, name: str) -> Path:
    """The delivered folder of that name below `root`; without a name the only one. Raises UserError."""
    folders = {"/".join(folder.parts[-2:]): folder for folder in delivered_folders(root)}
    if name in folders:
        return folders[name]
    if not name and len(folders) == 1:
        return next(iter(folders.values()))
    problem = f"no {name} in {root}" if name else f"{len(folders)} models in {root}"
    raise UserError(f"{problem}; name one of them as DELIVERED=model/task: {', '.join(folders)}")


def main(arguments: argparse.Namespace) -> None:
    planned = plan_upload(chosen_folder(arguments.delivered_dir, arguments.name), arguments.repository)
    for line in planned.lines():
        print(line)
    if not arguments.upload:
        print(
            "Nothing was uploaded. parity.json holds a few validation texts: look whether they may leave this machine."
        )
        print("To upload, run the same command with UPLOAD=yes.")
        return
    print(f"uploaded: {upload(planned)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delivered-dir", type=Path, required=True, help="folder with {model}/{task}/ in it")
    parser.add_argument("--name", default="", help="model/task; not needed where there is one only")
    parser.add_argument("--repository", required=True, help="owner/name on the hub")
    parser.add_argument("--upload", choices=["yes"], help="upload; otherwise only list what would be sent")
    run_step(parser, main)
