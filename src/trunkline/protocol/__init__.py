"""MCP as data and pure rules: frames, eras, limits, correlation, SSE. No sockets, tasks or clock."""
