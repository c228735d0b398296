"""A bucket of object storage for the tests: moto's S3, with faults on request.

Prints its port, then answers commands from standard input, one line of JSON each. It ends with its standard input.

    list            every key with the SHA-256 of its object, as often as it was written since it was last removed
    delete KEY      removes an object
    save PREFIX DIR copies the objects below a prefix into a folder
    put KEY TEXT    writes an object
    fail SHARE      answers 503 to this share of the requests; of the writes, every second one is done before
    delay SECONDS   holds back each answer to a write, which is done by then
    count           numbers of writes that were done, and of answers 503
"""

import hashlib
import io
import json
import pathlib
import random
import re
import sys
import threading
import time
import urllib.parse

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
BUCKET = "bucket"

state = {"fail": 0.0, "delay": 0.0, "writes": 0, "failures": 0}
chance = random.Random(4711)
lock = threading.Lock()
n_written = {}
backend = DomainDispatcherApplication(create_backend_app)


def removed(environ, key):
    """Returns the keys that a request removes: one, or those in its body."""
    if environ["REQUEST_METHOD"] == "DELETE":
        # The end of an upload removes no object.
        return [] if "uploadId=" in environ["QUERY_STRING"] else [key]
    if environ["REQUEST_METHOD"] != "POST" or not environ["QUERY_STRING"].startswith("delete"):
        return []
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(body)
    return re.findall("<Key>(.*?)</Key>", body.decode())


def app(environ, start_response):
    own = environ.get("HTTP_X_TEST") is not None
    # A part of an upload is no object. Its end makes the object.
    query = environ["QUERY_STRING"]
    is_write = environ["REQUEST_METHOD"] == "PUT" and "partNumber=" not in query
    is_write = is_write or environ["REQUEST_METHOD"] == "POST" and "uploadId=" in query
    with lock:
        fails = not own and chance.random() < state["fail"]
        is_done = is_write and chance.random() < 0.5
    key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}/")
    # This reads the body of a removal, and puts it back: what is read twice never ends.
    keys = removed(environ, key)
    if fails and not is_done:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status = []
    body = b""
    if not fails or is_done:
        body = b"".join(backend(environ, lambda code, headers, *_: status.append((code, headers)) or (lambda _: None)))
        # Writes are counted here: the times of versions are whole seconds, and give no order.
        with lock:
            for gone in keys:
                n_written.pop(gone, None)
            if is_write and status[0][0].startswith("200"):
                n_written[key] = n_written.get(key, 0) + 1
        if is_write and not own and status[0][0].startswith("200"):
            with lock:
                state["writes"] += 1
            time.sleep(state["delay"])
    if fails:
        with lock:
            state["failures"] += 1
        start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
        return [SLOW_DOWN]
    start_response(*status[0])
    return [body]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{server.port}",
    region_name="us-east-1",
    aws_access_key_id="the-test",
    aws_secret_access_key="itself",
    config=boto3.session.Config(proxies={}),
)
s3.meta.events.register("before-sign.s3.*", lambda request, **_: request.headers.add_header("x-test", "1"))
s3.create_bucket(Bucket=BUCKET)
print(server.port, flush=True)


def listed():
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            found[item["Key"]] = [hashlib.sha256(body).hexdigest()] * n_written[item["Key"]]
    return found


def answer(command, *words):
    if command == "list":
        return listed()
    if command == "delete":
        s3.delete_object(Bucket=BUCKET, Key=words[0])
        return None
    if command == "save":
        prefix, folder = words
        for key in listed():
            if key.startswith(prefix):
                path = pathlib.Path(folder, key.removeprefix(prefix))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        return None
    if command == "put":
        s3.put_object(Bucket=BUCKET, Key=words[0], Body=words[1].encode())
        return None
    if command == "count":
        return {name: state[name] for name in ("writes", "failures")}
    state[command] = float(words[0])
    return None


for line in sys.stdin:
    print(json.dumps(answer(*line.split())), flush=True)
