"""The official Python sample of the ModelScope image API in its usual shape, to show that the simulator is taken for the real thing.

Only the base URL and the token are not written into it: they come from the command line or the environment.

    python3 official_sample.py http://127.0.0.1:8000/ ms-token
"""

import json
import os
import sys
import time
from io import BytesIO

import requests
from PIL import Image

base_url = sys.argv[1] if len(sys.argv) > 1 else os.environ["MODELSCOPE_BASE_URL"]
api_key = sys.argv[2] if len(sys.argv) > 2 else os.environ["MODELSCOPE_SDK_TOKEN"]

common_headers = {
    "Authorization": f"Bearer {api_key}",
    "Content-Type": "application/json",
}

response = requests.post(
    f"{base_url}v1/images/generations",
    headers={**common_headers, "X-ModelScope-Async-Mode": "true"},
    data=json.dumps({
        "model": "Qwen/Qwen-Image",  # ModelScope Model-Id, required
        "prompt": "A golden cat, 金色的猫",
    }, ensure_ascii=False).encode('utf-8')
)

response.raise_for_status()
task_id = response.json()["task_id"]

while True:
    result = requests.get(
        f"{base_url}v1/tasks/{task_id}",
        headers={**common_headers, "X-ModelScope-Task-Type": "image_generation"},
    )
    result.raise_for_status()
    data = result.json()

    if data["task_status"] == "SUCCEED":
        image = Image.open(BytesIO(requests.get(data["output_images"][0]).content))
        image.save("result_image.jpg")
        break
    elif data["task_status"] == "FAILED":
        print("Image Generation Failed.")
        break

    time.sleep(5)
