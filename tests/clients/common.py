"""Shared by the S3 client scripts: their settings, and the name resolution of the test."""

import json
import os
import socket

settings = json.loads(os.environ["ELBOW_S3"])
_getaddrinfo = socket.getaddrinfo


def _resolve(host, *args, **kwargs):
    return _getaddrinfo(settings["resolve"].get(host, host), *args, **kwargs)


socket.getaddrinfo = _resolve
