"""Says that a method stands for one of the asynchronous library, and takes over what that says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def mirrors(original: object) -> Callable[[Method], Method]:
    """Give a decorator that copies the docstring."""

    def adopt(method: Method) -> Method:
        method.__doc__ = original.__doc__
        return method

    return adopt
