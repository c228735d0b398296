"""Loads exports with the libraries that trainers use, and holds all that comes back against the results of the run.

Usage: load_exports.py RESULTS.jsonl FORMAT DIR ...   (FORMAT: imagefolder, captions, webdataset or parquet)
"""

import datetime
import io
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from pathlib import Path

from PIL import Image


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r} instead of {wanted!r}")


def is_none(value):
    return value is None or value != value


# Columns of the results that a dataset has under another name, and those that it does not have.
RENAMED = {"photo_file_name": "photo_filename", "file_names": "filenames", "image": "input_image"}
ABSENT = {"index", "status", "file_name", "error_code", "error", "submits_in_doubt", "tasks_lost", "cost", "row"}


def is_same(found, wanted):
    """Whether a value came back: a missing one as such or as "", a number as itself or its digits, a text to the last character.

    A space may follow a date: nothing else keeps pyarrow from reading it as a time.
    """
    if wanted is None or wanted == "":
        return found == "" or is_none(found)
    if isinstance(found, datetime.datetime):
        return found.replace(tzinfo=datetime.timezone.utc) == datetime.datetime.fromisoformat(wanted.replace("Z", "+00:00"))
    if isinstance(wanted, str):
        return found == wanted or (found == wanted + " " and wanted[:4].isdigit())
    return found == wanted or found == str(wanted)


def check_rows(rows, results, what, caption="prompt", lost=(), columns=None):
    """Each row against its line in the results, found by the image's hash, column by column.

    A text among the lost ones is what the loader takes for no text at all. Without columns, all are compared.
    """
    expect(len(rows), len(results), f"{what}: images")
    for row in rows:
        line = results[row["sha256"]]
        wanted = {name: line[name] for name in columns or line if name not in ABSENT}
        wanted["text"] = line[caption]
        for name, value in wanted.items():
            value = None if value in lost else value
            name = name if name == "text" else RENAMED.get(name, name)
            if not is_same(row.get(name), value):
                sys.exit(f"{what}: {name} is {row.get(name)!r} instead of {value!r}")
        if "image" in row:
            image = row["image"]
            image.load()
            expect(image.size, (line["width"], line["height"]), f"{what}: pixels")


def load(kind, folder, cache, **files):
    from datasets import load_dataset

    return load_dataset(kind, cache_dir=cache, **files)


def check_by_path(folder, results, cache, of_row, splits, *more, **lossy):
    """The dataset by its folder alone: the card says which files are in which split."""
    from datasets import load_dataset

    data = load_dataset(str(folder.absolute()), cache_dir=cache)
    expect({name: len(split) for name, split in data.items()}, splits, f"{folder} by path: splits")
    check_rows([of_row(row) for split in data.values() for row in split], results, f"{folder} by path", *more, **lossy)


# Texts that pandas reads as missing in a CSV table.
MISSING_IN_CSV = ("", "null", "NaN", "N/A")


def imagefolder(folder, results, cache):
    data = load("imagefolder", folder, cache, data_dir=str(folder))
    rows = [row for split in data.values() for row in split]
    is_csv = (folder / "train" / "metadata.csv").exists()
    features = [split.features for split in data.values()]
    for found in features:
        expect(found, features[0], "imagefolder: the features of a split")
        expect(type(found["image"]).__name__, "Image", "imagefolder: the feature")
        if not is_csv and len({line["seed"] is None for line in results.values()}) == 2 and len(data) == 1:
            expect(found["seed"].dtype, "int64", "imagefolder: the seed")
    # pandas guesses the types of a CSV table: a task id of digits is a number.
    lossy = {"lost": MISSING_IN_CSV, "columns": ["prompt", "model", "seed", "id"]} if is_csv else {}
    caption = "date" if folder.name == "dates" else "prompt"
    check_rows(rows, results, "imagefolder", caption, **lossy)
    splits = {name: len(split) for name, split in data.items()}
    check_by_path(folder, results, cache, lambda row: row, splits, caption, **lossy)
    for name in ["nothing", "params", "loras"]:
        expect(name in features[0], False, f"imagefolder: an empty column {name}")
    expect(sorted(data), sorted(path.name for path in folder.iterdir() if path.is_dir()), "imagefolder: splits")


def captions(folder, results, cache):
    import hashlib

    images = [path for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".webp"}]
    expect(len(images), len(results), "captions: images")
    expect(len(list(folder.rglob("*.txt"))), len(images), "captions: texts")
    for path in images:
        line = results[hashlib.sha256(path.read_bytes()).hexdigest()]
        text = path.with_suffix(".txt").read_bytes().decode("utf-8")
        lines = [part.strip() for part in line["prompt"].replace("\r", "\n").split("\n")]
        expect(text, " ".join(part for part in lines if part), "captions: the text")
        expect(Image.open(path).size, (line["width"], line["height"]), "captions: pixels")


def webdataset(folder, results, cache):
    import webdataset as wds

    shards = sorted(str(path) for path in folder.glob("*.tar"))
    samples = list(wds.WebDataset(shards, shardshuffle=False, empty_check=False).decode("pil"))
    rows = []
    for sample in samples:
        expect("." in sample["__key__"], False, "webdataset: a dot in a key")
        expect(sample["txt"], sample["json"]["text"], "webdataset: the caption")
        image = next(sample[kind] for kind in ["png", "jpg", "webp"] if kind in sample)
        rows.append({**sample["json"], "image": image})
    check_rows(rows, results, "webdataset")
    splits = {shard.name.rsplit("-", 1)[0]: [] for shard in folder.glob("*.tar")}
    files = {split: sorted(str(path) for path in folder.glob(f"{split}-*.tar")) for split in splits}
    data = load("webdataset", folder, cache, data_files=files)
    rows = [{**row["json"], "image": row["png"]} for split in data.values() for row in split]
    check_rows(rows, results, "webdataset by datasets")
    sizes = {name: len(split) for name, split in data.items()}
    check_by_path(folder, results, cache, lambda row: {**row["json"], "image": row["png"]}, sizes)


def parquet(folder, results, cache):
    import pandas
    import pyarrow.parquet as pq

    shards = sorted(str(path) for path in folder.glob("*.parquet"))
    data = load("parquet", folder, cache, data_files={"train": shards}, split="train")
    expect(type(data.features["image"]).__name__, "Image", "parquet: the feature")
    check_rows(list(data), results, "parquet by datasets")
    by_name = load("parquet", folder, cache, data_dir=str(folder))
    expect(sum(len(split) for split in by_name.values()), len(results), "parquet by folder: images")
    check_by_path(folder, results, cache, lambda row: row, {name: len(split) for name, split in by_name.items()})

    frame = pandas.concat([pandas.read_parquet(path) for path in shards])
    rows = frame.to_dict("records")
    for row in rows:
        row["image"] = Image.open(io.BytesIO(row["image"]["bytes"]))
    check_rows(rows, results, "parquet by pandas")
    expect(str(frame["finished_at"].dt.tz), "UTC", "parquet: the time zone")
    schema = pq.read_schema(shards[0])
    types = {name: str(schema.field(name).type) for name in ["seed", "guidance", "submitted_at", "prompt"]}
    wanted = {"seed": "int64", "guidance": "double", "submitted_at": "timestamp[ms, tz=UTC]", "prompt": "string"}
    expect(types, wanted, "parquet: types")


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    results = {line["sha256"]: line for line in read if line["status"] == "succeeded"}
    cache = str(Path("cache").absolute())
    loaders = {"imagefolder": imagefolder, "captions": captions, "webdataset": webdataset, "parquet": parquet}
    pairs = sys.argv[2:]
    for kind, folder in zip(pairs[::2], pairs[1::2]):
        loaders[kind](Path(folder), results, cache)
        print(f"{kind} {folder}: {len(results)} images")


if __name__ == "__main__":
    main()
