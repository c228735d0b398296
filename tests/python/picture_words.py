"""Prints, as JSON, what the pictures named on the command line say that they were made from."""

import json
import sys

from PIL import Image

told = {}
for path in sys.argv[1:]:
    with Image.open(path) as picture:
        picture.load()
        exif = picture.getexif()
        comment = exif.get_ifd(0x8769).get(0x9286)
        told[path] = {
            "format": picture.format,
            "parameters": picture.info.get("parameters"),
            "record": json.loads(picture.info["promptbatch"]) if "promptbatch" in picture.info else None,
            "description": exif.get(0x010E),
            "comment": comment[8:].decode("utf-16-be") if comment else None,
        }
print(json.dumps(told))
