"""Which kept answers are meant by names, globs, arguments, and by what happened on a server."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.pipeline.cache_index import subject_of
from trunkline.pipeline.cache_key import Subject, read_subject
from trunkline.pipeline.shelf import Shelf
