"""The script that people write: submit, poll until done, download, write the file. No syncing, no ledger, no second thought."""

import asyncio
import csv
import os
import sys

import aiohttp

MANIFEST, OUT, URL = sys.argv[1:]
HEADERS = {"Authorization": "Bearer x", "X-ModelScope-Async-Mode": "true"}
POLL_HEADERS = {"Authorization": "Bearer x", "X-ModelScope-Task-Type": "image_generation"}


async def generate(session, semaphore, number, prompt):
    async with semaphore:
        body = {"model": "Tongyi-MAI/Z-Image-Turbo", "prompt": prompt}
        async with session.post(f"{URL}/v1/images/generations", json=body, headers=HEADERS) as response:
            response.raise_for_status()
            task = (await response.json())["task_id"]
        while True:
            async with session.get(f"{URL}/v1/tasks/{task}", headers=POLL_HEADERS) as response:
                response.raise_for_status()
                answer = await response.json()
            if answer["task_status"] == "SUCCEED":
                break
            if answer["task_status"] == "FAILED":
                raise RuntimeError(answer)
            await asyncio.sleep(1)
        async with session.get(answer["output_images"][0]) as response:
            response.raise_for_status()
            image = await response.read()
        with open(os.path.join(OUT, f"{number:06}.png"), "wb") as file:
            file.write(image)


async def main():
    with open(MANIFEST, newline="") as file:
        prompts = [row["prompt"] for row in csv.DictReader(file)]
    os.makedirs(OUT, exist_ok=True)
    semaphore = asyncio.Semaphore(256)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        await asyncio.gather(*(generate(session, semaphore, *job) for job in enumerate(prompts, 1)))


asyncio.run(main())
