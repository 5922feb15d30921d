"""Servers that Diastole starts itself: a Kafka-protocol broker and a Redis, on free loopback ports.

Each server is its own process group, is tied to the life of the process that started it, and keeps its
files in its own folder below the given root::

    <root>/runs/<kind>-<random>/server.log     kept until clean_runs(root)
    <root>/runs/<kind>-<random>/data/          removed by stop()
    <root>/kafka-libs/<hash of the pom>/       jars of Apache Kafka, fetched once by Maven
"""

from ops.services.apache import ProxiedListener, has_apache_kafka
from ops.services.apache_security import SecuredListeners
from ops.services.broker import BrokerKind, RunningBroker, start_broker
from ops.services.folders import clean_runs
from ops.services.redis_server import RunningRedis, SecuredRedis, redis_binary, start_redis
from ops.services.waiting import ServiceError

__all__ = [
    "BrokerKind",
    "ProxiedListener",
    "RunningBroker",
    "RunningRedis",
    "SecuredListeners",
    "SecuredRedis",
    "ServiceError",
    "clean_runs",
    "has_apache_kafka",
    "redis_binary",
    "start_broker",
    "start_redis",
]
