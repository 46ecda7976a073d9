"""The production MCP client runtime for Python."""

from trunkline._version import __version__ as __version__
