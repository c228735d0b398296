"""Loads exports with the libraries that trainers use, and holds all that comes back against the results of the run.

Usage: load_exports.py RESULTS.jsonl FORMAT DIR ...   (FORMAT: imagefolder, captions, webdataset or parquet)
"""

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


def check_rows(rows, results, what, lost=()):
    """Each row against its line in the results, found by the image's hash: words to the last character, numbers as numbers.

    A text among the lost ones is what the loader takes for no text at all.
    """
    def given(text):
        return None if text in lost else text

    expect(len(rows), len(results), f"{what}: images")
    for row in rows:
        line = results[row["sha256"]]
        expect(row["text"], given(line["prompt"]), f"{what}: the caption")
        for column in ["prompt", "model", "size", "id", "style"]:
            expect(row[column], given(line[column]), f"{what}: {column}")
        for column in ["seed", "width", "height", "bytes"]:
            if line[column] is None:
                expect(is_none(row[column]), True, f"{what}: no {column}")
            else:
                expect(row[column], line[column], f"{what}: {column}")
        if "image" in row:
            image = row["image"]
            image.load()
            expect(image.size, (line["width"], line["height"]), f"{what}: pixels")


def load(kind, folder, cache, **files):
    from datasets import load_dataset

    return load_dataset(kind, cache_dir=cache, **files)


def imagefolder(folder, results, cache):
    data = load("imagefolder", folder, cache, data_dir=str(folder))
    rows = [row for split in data.values() for row in split]
    is_csv = (folder / "train" / "metadata.csv").exists()
    for split in data.values():
        expect(type(split.features["image"]).__name__, "Image", "imagefolder: the feature")
        if not is_csv:
            expect(split.features["seed"].dtype, "int64", "imagefolder: the seed")
    check_rows(rows, results, "imagefolder", ("", "null") if is_csv else ())
    expect(sorted(data), sorted(path.name for path in folder.iterdir() if path.is_dir()), "imagefolder: splits")


def captions(folder, results, cache):
    import hashlib

    images = [path for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".webp"}]
    expect(len(images), len(results), "captions: images")
    expect(len(list(folder.rglob("*.txt"))), len(images), "captions: texts")
    for path in images:
        line = results[hashlib.sha256(path.read_bytes()).hexdigest()]
        text = path.with_suffix(".txt").read_bytes().decode("utf-8")
        expect(text, line["prompt"], "captions: the text")
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
    data = load("webdataset", folder, cache, data_files={"train": shards}, split="train")
    expect(len(data), len(results), "webdataset by datasets: images")
    check_rows([{**row["json"], "image": row["png"]} for row in data], results, "webdataset by datasets")


def parquet(folder, results, cache):
    import pandas
    import pyarrow.parquet as pq

    shards = sorted(str(path) for path in folder.glob("*.parquet"))
    data = load("parquet", folder, cache, data_files={"train": shards}, split="train")
    expect(type(data.features["image"]).__name__, "Image", "parquet: the feature")
    check_rows(list(data), results, "parquet by datasets")
    by_name = load("parquet", folder, cache, data_dir=str(folder))
    expect(sum(len(split) for split in by_name.values()), len(results), "parquet by folder: images")

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
