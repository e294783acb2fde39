"""The Python SDK, 1.x or 2.x, with a token in a header: mcp_client.py URL TOKEN CALLS

CALLS is a JSON array of [tool, arguments], made in one session. Prints one JSON line: `read`, what the model would read of
each call that was answered, and `ended`, what ended the session before the last one was.
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

try:
    from mcp import Client, MCPError
except ImportError:  # 1.x
    from mcp import ClientSession
    from mcp import McpError as MCPError

    @asynccontextmanager
    async def Client(transport):
        async with transport as (incoming, outgoing, _), ClientSession(incoming, outgoing) as session:
            await session.initialize()
            yield session


async def make(calls, url, token, read):
    async with create_mcp_http_client({"Authorization": f"Bearer {token}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            for tool, arguments in calls:
                try:
                    result = await client.call_tool(tool, arguments)
                    read.append(result.content[0].text)
                except MCPError as error:
                    read.append(error.error.message)


def main(url, token, calls):
    read, ended = [], None
    try:
        asyncio.run(make(json.loads(calls), url, token, read))
    except Exception as error:
        ended = repr(error)
    print(json.dumps({"read": read, "ended": ended}))


main(*sys.argv[1:])
