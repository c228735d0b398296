"""Official clients of image APIs against `promptbatch simulate --provider NAME`, over plain HTTP on this machine.

Usage: clients.py CLIENT URL. It prints the number of bytes of the image that the client received.
"""

import base64
import sys
import urllib.request

PNG = b"\x89PNG\r\n\x1a\n"


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def openai(url):
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=url + "/v1", api_key="any-token", max_retries=0)
    try:
        client.images.generate(model="gpt-image-1-mini", prompt="")
        raise SystemExit("an empty prompt was accepted")
    except BadRequestError as error:
        assert "prompt" in str(error), error
    answer = client.images.generate(model="gpt-image-1-mini", prompt="a golden cat", size="1024x1024")
    return base64.b64decode(answer.data[0].b64_json)


def replicate(url):
    from replicate import Client

    client = Client(api_token="any-token", base_url=url)
    output = client.run("black-forest-labs/flux-schnell", input={"prompt": "a golden cat"}, wait=False)
    listed = client.predictions.list()
    assert [item.input["prompt"] for item in listed.results] == ["a golden cat"], listed
    return fetch(output[0] if isinstance(output, list) else output)


def dashscope(url):
    import dashscope as sdk

    sdk.base_http_api_url = url + "/api/v1"
    answer = sdk.ImageSynthesis.call(
        api_key="any-token", model="wan2.2-t2i-flash", prompt="a golden cat", n=1, size="1024*1024"
    )
    assert answer.status_code == 200 and answer.output.task_status == "SUCCEEDED", answer
    return fetch(answer.output.results[0].url)


def together(url):
    from together import Together

    client = Together(base_url=url, api_key="any-token", max_retries=0)
    answer = client.images.generate(
        model="black-forest-labs/FLUX.1-schnell", prompt="a golden cat", width=512, height=512, steps=4
    )
    return base64.b64decode(answer.data[0].b64_json)


def gemini(url):
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, api_version="v1beta")
    client = genai.Client(api_key="any-token", http_options=options)
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9")
    )
    answer = client.models.generate_content(model="gemini-2.5-flash-image", contents="a golden cat", config=config)
    images = [part.inline_data for part in answer.candidates[0].content.parts if part.inline_data]
    assert [image.mime_type for image in images] == ["image/png"], images
    return images[0].data


CLIENTS = {client.__name__: client for client in (openai, replicate, dashscope, together, gemini)}

if __name__ == "__main__":
    image = CLIENTS[sys.argv[1]](sys.argv[2])
    assert image.startswith(PNG), image[:16]
    print(len(image))
