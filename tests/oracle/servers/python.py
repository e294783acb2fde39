"""The official SDK in Python, 1.x or 2.x, whichever is installed."""

import json
import math
import socket

import uvicorn

try:
    from mcp.server.mcpserver import MCPServer as Base

    FIRST = False
except ImportError:
    from mcp.server.fastmcp import FastMCP as Base

    FIRST = True


def finite(value):
    """As JSON has it: JSON.stringify writes null for what is not finite."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Server(Base):
    """Says what it is about to execute, with the arguments as they were read."""

    async def call_tool(self, name, arguments, *rest):
        request = (rest[0] if rest else self.get_context()).request_context.request
        self.log(request.headers, {"method": "tools/call", "tool": name, "arguments": finite(arguments)})
        return await super().call_tool(name, arguments, *rest)

    @staticmethod
    def log(headers, what):
        event = {"event": "executed", "input": headers.get("x-oracle"), "request": headers.get("x-request-id")}
        print(json.dumps(event | what), flush=True)


server = Server("oracle", stateless_http=True) if FIRST else Server("oracle")


@server.tool()
def greet() -> str:
    return "greet"


@server.tool()
def secret_tool() -> str:
    return "secret_tool"


listener = socket.create_server(("127.0.0.1", 0))
app = server.streamable_http_app(**({} if FIRST else {"stateless_http": True}))
print(json.dumps({"event": "ready", "address": "127.0.0.1:%d" % listener.getsockname()[1]}), flush=True)
# Longer than Envoy keeps an idle connection to us.
uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_keep_alive=75)).run(sockets=[listener])
