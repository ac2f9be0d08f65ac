"""
The yardstick (a): what one writes in half an hour, and no more.

`web.Application` with one route and no access log, asyncio's own loop, base64 of the standard library, pycryptodome,
orjson, SHA-256, one toast. It stores nothing: what it answered is lost when it ends. Only the credentials are checked,
no time window. Run as ``python naive.py PORT`` with ``LARK_ENCRYPT_KEY`` set.
"""

import base64
import hashlib
import hmac
import os
import sys

import orjson
from aiohttp import web
from Crypto.Cipher import AES

KEY = os.environ["LARK_ENCRYPT_KEY"]
AES_KEY = hashlib.sha256(KEY.encode()).digest()
TOAST = {"toast": {"type": "info", "content": "正在跟进"}}


async def click(request: web.Request) -> web.Response:
    """Verify, decrypt, read, answer."""
    body = await request.read()
    timestamp, nonce = request.headers["X-Lark-Request-Timestamp"], request.headers["X-Lark-Request-Nonce"]
    expected = hashlib.sha256((timestamp + nonce + KEY).encode() + body).hexdigest()
    if not hmac.compare_digest(expected, request.headers["X-Lark-Signature"]):
        return web.Response(status=401)
    data = base64.b64decode(orjson.loads(body)["encrypt"])
    padded = AES.new(AES_KEY, AES.MODE_CBC, iv=data[:16]).decrypt(data[16:])
    event = orjson.loads(padded[: -padded[-1]])
    if event["event"]["action"]["value"]["action"] != "follow_up":
        return web.Response(status=404)
    return web.Response(body=orjson.dumps(TOAST), content_type="application/json")


if __name__ == "__main__":
    server = web.Application()
    server.router.add_post("/webhook/card", click)
    web.run_app(server, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
