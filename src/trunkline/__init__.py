"""Trunkline: the production MCP client runtime for Python.

Importing this package loads nothing else; each public name loads its part on first use.
"""

from __future__ import annotations

from trunkline._version import __version__

TYPE_CHECKING = False  # `typing` is not imported: it costs more than all the rest of this
if TYPE_CHECKING:
    from typing import Any

    from trunkline.catalog.catalog import Catalog as Catalog
    from trunkline.catalog.search import Match as Match
    from trunkline.config.replicas import Replica as Replica
    from trunkline.config.replicas import Replicas as Replicas
    from trunkline.core.batch import BatchSettings as BatchSettings
    from trunkline.core.breaker import BreakerSettings as BreakerSettings
    from trunkline.core.breaker import BreakerStatus as BreakerStatus
    from trunkline.core.budget import Budget as Budget
    from trunkline.core.cache_settings import CacheSettings as CacheSettings
    from trunkline.core.cache_stats import CacheStats as CacheStats
    from trunkline.core.call import Call as Call
    from trunkline.core.call import Log as Log
    from trunkline.core.call import Progress as Progress
    from trunkline.core.completion import CompletionReply as CompletionReply
    from trunkline.core.elicitation import ElicitRequest as ElicitRequest
    from trunkline.core.elicitation import ElicitResult as ElicitResult
    from trunkline.core.events import BreakerChanged as BreakerChanged
    from trunkline.core.events import CallFinished as CallFinished
    from trunkline.core.events import ConfigChanged as ConfigChanged
    from trunkline.core.events import Degraded as Degraded
    from trunkline.core.events import Event as Event
    from trunkline.core.events import ListChanged as ListChanged
    from trunkline.core.events import LogMessage as LogMessage
    from trunkline.core.events import MemberChanged as MemberChanged
    from trunkline.core.events import ResourceUpdated as ResourceUpdated
    from trunkline.core.events import ServerChanged as ServerChanged
    from trunkline.core.fallback import Constant as Constant
    from trunkline.core.handlers import HandlerLimits as HandlerLimits
    from trunkline.core.handlers import Handlers as Handlers
    from trunkline.core.journal import CallRecord as CallRecord
    from trunkline.core.journal import LogLine as LogLine
    from trunkline.core.limit import LimitSettings as LimitSettings
    from trunkline.core.prefetch import PrefetchSettings as PrefetchSettings
    from trunkline.core.principal import Principal as Principal
    from trunkline.core.prompt import Prompt as Prompt
    from trunkline.core.prompt import PromptArgument as PromptArgument
    from trunkline.core.prompt import PromptMessage as PromptMessage
    from trunkline.core.prompt import PromptReply as PromptReply
    from trunkline.core.reply import Reply as Reply
    from trunkline.core.resource import Chunk as Chunk
    from trunkline.core.resource import ReadReply as ReadReply
    from trunkline.core.resource import Resource as Resource
    from trunkline.core.resource import ResourceContent as ResourceContent
    from trunkline.core.resource import Template as Template
    from trunkline.core.retry import RetrySettings as RetrySettings
    from trunkline.core.routing import EjectionSettings as EjectionSettings
    from trunkline.core.routing import HedgeSettings as HedgeSettings
    from trunkline.core.routing import RouteSettings as RouteSettings
    from trunkline.core.sampling import Root as Root
    from trunkline.core.sampling import SampleRequest as SampleRequest
    from trunkline.core.sampling import SampleResult as SampleResult
    from trunkline.core.status import ConfigStatus as ConfigStatus
    from trunkline.core.status import MemberStatus as MemberStatus
    from trunkline.core.status import ServerStatus as ServerStatus
    from trunkline.core.task import Task as Task
    from trunkline.core.timing import Hop as Hop
    from trunkline.core.timing import Timing as Timing
    from trunkline.core.tool import Tool as Tool
    from trunkline.core.why import Why as Why
    from trunkline.errors import AgentError as AgentError
    from trunkline.errors import AmbiguousNameError as AmbiguousNameError
    from trunkline.errors import AuthorizationRequiredError as AuthorizationRequiredError
    from trunkline.errors import CallError as CallError
    from trunkline.errors import ConfigError as ConfigError
    from trunkline.errors import DeadlineExceededError as DeadlineExceededError
    from trunkline.errors import DeniedError as DeniedError
    from trunkline.errors import ElicitationRequiredError as ElicitationRequiredError
    from trunkline.errors import InvalidArgumentsError as InvalidArgumentsError
    from trunkline.errors import LeaseLostError as LeaseLostError
    from trunkline.errors import NotFoundError as NotFoundError
    from trunkline.errors import OutcomeUnknownError as OutcomeUnknownError
    from trunkline.errors import ProtocolError as ProtocolError
    from trunkline.errors import RejectedError as RejectedError
    from trunkline.errors import ServerError as ServerError
    from trunkline.errors import TrunklineError as TrunklineError
    from trunkline.errors import UnavailableError as UnavailableError
    from trunkline.errors import WorkflowError as WorkflowError
    from trunkline.pipeline.middleware import Middleware as Middleware
    from trunkline.resilience.breaking import Breaking as Breaking
    from trunkline.resilience.breaking import breaker as breaker
    from trunkline.resilience.retrying import Retrying as Retrying
    from trunkline.resilience.retrying import retry as retry
    from trunkline.runtime.batch import Batch as Batch
    from trunkline.runtime.batch import BatchedCall as BatchedCall
    from trunkline.runtime.breakers import BreakerSwitch as BreakerSwitch
    from trunkline.runtime.cached import ReplyCache as ReplyCache
    from trunkline.runtime.connect import connect as connect
    from trunkline.runtime.events import Watch as Watch
    from trunkline.runtime.handle import Handle as Handle
    from trunkline.runtime.lease import Lease as Lease
    from trunkline.runtime.task_handle import TaskHandle as TaskHandle
    from trunkline.runtime.trunk import Trunk as Trunk
    from trunkline.store.files import FileStore as FileStore
    from trunkline.store.port import MemoryStore as MemoryStore
    from trunkline.store.port import Store as Store
    from trunkline.store.redis_replies import RedisReplies as RedisReplies
    from trunkline.store.replies import ReplyStore as ReplyStore
    from trunkline.store.sqlite_replies import DiskReplies as DiskReplies
    from trunkline.supervision.restarting import Restarted as Restarted
    from trunkline.supervision.subscription import Subscription as Subscription

_HOMES = {
    "Budget": "core.budget",
    "Middleware": "pipeline.middleware",
    "RetrySettings": "core.retry",
    "Retrying": "resilience.retrying",
    "retry": "resilience.retrying",
    "Batch": "runtime.batch",
    "BatchSettings": "core.batch",
    "BatchedCall": "runtime.batch",
    "Catalog": "catalog.catalog",
    "Handle": "runtime.handle",
    "Replica": "config.replicas",
    "Replicas": "config.replicas",
    "CacheSettings": "core.cache_settings",
    "CacheStats": "core.cache_stats",
    "CallRecord": "core.journal",
    "DiskReplies": "store.sqlite_replies",
    "PrefetchSettings": "core.prefetch",
    "RedisReplies": "store.redis_replies",
    "ReplyCache": "runtime.cached",
    "ReplyStore": "store.replies",
    "Lease": "runtime.lease",
    "Call": "core.call",
    "EjectionSettings": "core.routing",
    "HedgeSettings": "core.routing",
    "RouteSettings": "core.routing",
    "Log": "core.call",
    "LogLine": "core.journal",
    "Match": "catalog.search",
    "Progress": "core.call",
    "ElicitRequest": "core.elicitation",
    "ElicitResult": "core.elicitation",
    "HandlerLimits": "core.handlers",
    "Handlers": "core.handlers",
    "Principal": "core.principal",
    "Reply": "core.reply",
    "Chunk": "core.resource",
    "CompletionReply": "core.completion",
    "Prompt": "core.prompt",
    "PromptArgument": "core.prompt",
    "PromptMessage": "core.prompt",
    "PromptReply": "core.prompt",
    "ReadReply": "core.resource",
    "Resource": "core.resource",
    "ResourceContent": "core.resource",
    "Template": "core.resource",
    "Constant": "core.fallback",
    "Degraded": "core.events",
    "Event": "core.events",
    "ListChanged": "core.events",
    "ServerChanged": "core.events",
    "BreakerChanged": "core.events",
    "BreakerSettings": "core.breaker",
    "BreakerStatus": "core.breaker",
    "BreakerSwitch": "runtime.breakers",
    "LimitSettings": "core.limit",
    "Breaking": "resilience.breaking",
    "breaker": "resilience.breaking",
    "CallFinished": "core.events",
    "ConfigChanged": "core.events",
    "LogMessage": "core.events",
    "MemberChanged": "core.events",
    "ResourceUpdated": "core.events",
    "FileStore": "store.files",
    "MemoryStore": "store.port",
    "Store": "store.port",
    "Subscription": "supervision.subscription",
    "Watch": "runtime.events",
    "Why": "core.why",
    "Restarted": "supervision.restarting",
    "Root": "core.sampling",
    "SampleRequest": "core.sampling",
    "SampleResult": "core.sampling",
    "ConfigStatus": "core.status",
    "MemberStatus": "core.status",
    "ServerStatus": "core.status",
    "Task": "core.task",
    "TaskHandle": "runtime.task_handle",
    "Hop": "core.timing",
    "Timing": "core.timing",
    "Tool": "core.tool",
    "Trunk": "runtime.trunk",
    "connect": "runtime.connect",
}
_HOMES |= dict.fromkeys(
    (
        "AgentError",
        "AmbiguousNameError",
        "AuthorizationRequiredError",
        "CallError",
        "ConfigError",
        "DeadlineExceededError",
        "DeniedError",
        "ElicitationRequiredError",
        "InvalidArgumentsError",
        "LeaseLostError",
        "NotFoundError",
        "OutcomeUnknownError",
        "ProtocolError",
        "RejectedError",
        "ServerError",
        "TrunklineError",
        "UnavailableError",
        "WorkflowError",
    ),
    "errors",
)

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trunkline' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"trunkline.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
