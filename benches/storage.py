"""Runs and exports with large images in object storage: time, CPU and peak memory, against plain scripts with boto3 and aioboto3.

python benches/storage.py PROGRAM [IMAGES [MEGABYTES]]: 256 images of 2 MB by default, against moto on this machine. Needs a program with the
feature `cloud`, and `pip install 'moto[server]' pillow aioboto3`. moto is a server in Python, and slow: compare the rows of one table.
"""

import asyncio
import csv
import http.server
import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

from PIL import Image, PngImagePlugin

SCRIPT = os.path.abspath(__file__)
BUCKET = "bucket"
AT_ONCE = 32
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def upload_boto3(endpoint, folder, prefix):
    """The script that people write: a pool of threads, each file one request."""
    import boto3
    from concurrent.futures import ThreadPoolExecutor

    s3 = boto3.client("s3", endpoint_url=endpoint, config=boto3.session.Config(max_pool_connections=AT_ONCE))

    def put(name):
        with open(os.path.join(folder, name), "rb") as file:
            s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=file.read())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(put, sorted(os.listdir(folder))))


async def upload_aioboto3(endpoint, folder, prefix):
    import aioboto3
    from aiobotocore.config import AioConfig

    semaphore = asyncio.Semaphore(AT_ONCE)

    async def put(s3, name):
        async with semaphore:
            with open(os.path.join(folder, name), "rb") as file:
                await s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=file.read())

    config = AioConfig(max_pool_connections=AT_ONCE)
    async with aioboto3.Session().client("s3", endpoint_url=endpoint, config=config) as s3:
        await asyncio.gather(*(put(s3, name) for name in sorted(os.listdir(folder))))


class Api(http.server.BaseHTTPRequestHandler):
    """ModelScope's API, with large images: noise, and the number of the task in a text chunk, so that no two are equal."""

    protocol_version = "HTTP/1.1"
    pixels = None
    n_tasks = 0
    lock = threading.Lock()

    def answer(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with Api.lock:
            Api.n_tasks += 1
            task = Api.n_tasks
        self.answer(json.dumps({"task_id": str(task), "task_status": "SUCCEED"}).encode())

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        if self.path.startswith("/v1/tasks/"):
            link = f"http://127.0.0.1:{self.server.server_port}/image/{name}"
            self.answer(json.dumps({"task_id": name, "task_status": "SUCCEED", "output_images": [link]}).encode())
            return
        # After the signature and the first chunk comes a chunk of text, with the number.
        chunk = PngImagePlugin.putchunk
        text = io.BytesIO()
        chunk(text, b"tEXt", b"task\0" + name.encode())
        self.answer(Api.pixels[:33] + text.getvalue() + Api.pixels[33:], "image/png")

    def log_message(self, *_):
        pass


def picture(megabytes):
    side = int(math.sqrt(megabytes * 1e6 / 3))
    noise = random.Random(1).randbytes(side * side * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), noise).save(file, "PNG", compress_level=1)
    return file.getvalue()


def peak_memory(pid):
    """Returns the peak resident memory of a process in kB; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            lines = [line.split()[1] for line in file if line.startswith("VmHWM")]
    except OSError:
        lines = []
    return int(lines[0]) if lines else 0


def measure(what, n_images, n_bytes, command, environment, expected=0):
    """Runs a command, and prints its time, the images a second, CPU, and its peak memory."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        pid = 0
        while pid == 0:
            # The peak in `usage` would include this program's memory at the fork.
            peak = peak_memory(child.pid) or peak
            time.sleep(0.005)
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        if child.returncode != expected:
            said.seek(0)
            sys.exit(f"{what}: {child.returncode}\n{said.read().decode()}")
    cpu = usage.ru_utime + usage.ru_stime
    speed, volume = n_images / took, n_images * n_bytes / took / 1e6
    print(f"| {what} | {took:.1f} s | {speed:.0f} | {volume:.0f} | {cpu:.1f} s | {peak / 1024:.0f} MB |", flush=True)


def main():
    program = os.path.abspath(sys.argv[1])
    n_images = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    Api.pixels = picture(float(sys.argv[3]) if len(sys.argv) > 3 else 2)
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    api.request_queue_size = 256
    threading.Thread(target=api.serve_forever, daemon=True).start()
    base = ["--base-url", f"http://127.0.0.1:{api.server_port}/", "--progress", "none"]
    storage = os.path.join(os.path.dirname(SCRIPT), "../tests/python/storage.py")
    bucket = subprocess.Popen([sys.executable, storage], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = f"http://127.0.0.1:{bucket.stdout.readline().strip()}"
        names = {**KEYS, "AWS_ENDPOINT_URL": endpoint, "MODELSCOPE_API_KEY": "x", "NO_PROXY": "127.0.0.1"}
        environment = {**os.environ, **names}
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            with open("prompts.csv", "w", newline="") as file:
                csv.writer(file).writerows([["prompt"], *([f"cat {n}"] for n in range(n_images))])
            n_bytes = len(Api.pixels)
            print(f"{n_images} images of {n_bytes / 1e6:.1f} MB\n\n| | time | images/s | MB/s | CPU | peak memory |\n|---|---|---|---|---|---|")

            def row(what, command, expected=0):
                measure(what, n_images, n_bytes, command, environment, expected)

            run = [program, "run", "prompts.csv", "-j", "64", *base, "-o"]
            export = [program, "export", "--progress", "none", "--to"]
            row("run, to the disk", [*run, "local"])
            row("run with `--images s3://`, 64 at a time", [*run, "there", "--images", f"s3://{BUCKET}/there"])
            row("export to a folder (hard links)", [*export, "imagefolder", "local", "-o", "folder"])
            place = ["-o", f"s3://{BUCKET}/imagefolder"]
            row("export to `s3://`", [*export, "imagefolder", "local", *place])
            row("the same again, nothing new", [*export, "imagefolder", "local", *place])
            row("export of images in the same bucket", [*export, "imagefolder", "there", "-o", f"s3://{BUCKET}/copied"])
            row("export from `s3://` to a folder", [*export, "imagefolder", "there", "-o", "fetched"])
            row("webdataset to `s3://`", [*export, "webdataset", "local", "-o", f"s3://{BUCKET}/shards"])
            script = [sys.executable, SCRIPT, "--upload"]
            row("boto3, 32 threads", [*script, "boto3", endpoint, "local/images", "boto3"])
            row("aioboto3, 32 at a time", [*script, "aioboto3", endpoint, "local/images", "aioboto3"])
    finally:
        bucket.stdin.close()
        bucket.wait()


if sys.argv[1:2] == ["--upload"]:
    _, _, library, *rest = sys.argv
    upload_boto3(*rest) if library == "boto3" else asyncio.run(upload_aioboto3(*rest))
else:
    main()
