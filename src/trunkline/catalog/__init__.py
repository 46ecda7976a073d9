"""What exists, under which public name: reading what servers list, naming, finding and showing tools."""

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.headers import HeaderArgument, header_arguments
from trunkline.catalog.listing import Listing, parse_tool, parse_tools
from trunkline.catalog.model_names import ModelNames, model_names
from trunkline.catalog.names import CLI_SEPARATORS, SEPARATORS, resolve, split_name
from trunkline.catalog.search import Match, SearchIndex
from trunkline.catalog.signature import render_signature

__all__ = [
    "CLI_SEPARATORS",
    "SEPARATORS",
    "Catalog",
    "HeaderArgument",
    "Listing",
    "Match",
    "ModelNames",
    "SearchIndex",
    "header_arguments",
    "model_names",
    "parse_tool",
    "parse_tools",
    "render_signature",
    "resolve",
    "split_name",
]
