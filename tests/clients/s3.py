"""Tests S3 through a load balancer with boto3: s3.py SCENARIO [ARGUMENTS…]. The settings are JSON in $ELBOW_S3.

Exits 0 when all checks pass. Retries are off so that every failure shows. The only exception is SlowDown, which MinIO
answers when its drives are slow on a busy machine.
"""

import hashlib
import io
import os
import sys
import time
import uuid
import warnings

from common import settings

import boto3
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

warnings.filterwarnings("ignore")

ODD_KEYS = [
    "plain",
    "with space",
    "with  two  spaces ",
    "plus+sign",
    "percent%20and%2Fslash",
    "a/b/c.d/e",
    "dots..in.the..name...",
    ".hidden/.file",
    "ünïcödé/日本語/🦀",
    "query?like=this&and=that;too",
    "hash#mark",
    "(paren)[bracket]{brace}",
    "quotes'\"and`tick",
    "at@colon:comma,semicolon;",
    "tilde~star*bang!dollar$",
    "equal=pipe|caret^",
]


BUSY = {"SlowDown", "SlowDownRead", "SlowDownWrite"}
MAX_RETRIES = 20


def retry_delay(response, attempts, **_):
    """Seconds until a retry when MinIO is too busy; None for no retry."""
    code = response[1].get("Error", {}).get("Code") if response else None
    return 1 if code in BUSY and attempts < MAX_RETRIES else None


def client(secret=None, **more):
    config = Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        connect_timeout=20,
        read_timeout=60,
        **more,
    )
    made = boto3.client(
        "s3",
        endpoint_url=settings["endpoint"],
        verify=settings["verify"],
        region_name="us-east-1",
        aws_access_key_id=settings["accessKey"],
        aws_secret_access_key=secret or settings["secretKey"],
        config=config,
    )
    made.meta.events.register("needs-retry.s3", retry_delay)
    return made


s3 = client()


def once(call, done, name):
    """Calls with the name of a bucket. The error `done` at a retry says that MinIO did it before it answered SlowDown."""
    try:
        call(Bucket=name)
    except ClientError as error:
        retries = error.response["ResponseMetadata"]["RetryAttempts"]
        if retries == 0 or error.response["Error"]["Code"] != done:
            raise


def bucket():
    name = "b-" + uuid.uuid4().hex
    once(s3.create_bucket, "BucketAlreadyOwnedByYou", name)
    return name


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def equal(left, right, name):
    if left != right:
        raise AssertionError(f"{name}: {left!r} is not {right!r}")


def status_of(call, *expected):
    """The status of a call that fails with one of the expected statuses."""
    try:
        call()
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status not in expected:
            raise
        return status
    raise AssertionError(f"the call did not fail with {expected}")


def round_trip():
    """Multipart upload and download with identical hashes, list, and delete."""
    name = bucket()
    data = os.urandom(23 * 1024 * 1024 + 7)
    parts = TransferConfig(
        multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4
    )
    s3.upload_fileobj(io.BytesIO(data), name, "big", Config=parts)
    back = io.BytesIO()
    s3.download_fileobj(name, "big", back, Config=parts)
    equal(sha256(back.getvalue()), sha256(data), "multipart")
    for size in (0, 1, 1 << 16, 1_000_003):
        s3.put_object(Bucket=name, Key=f"size-{size}", Body=data[:size])
        body = s3.get_object(Bucket=name, Key=f"size-{size}")["Body"].read()
        equal(sha256(body), sha256(data[:size]), f"{size} bytes")
    listed = {o["Key"]: o["Size"] for o in s3.list_objects_v2(Bucket=name)["Contents"]}
    equal(listed.get("big"), len(data), "the size in the list")
    equal(len(listed), 5, "the number of objects")
    for key in listed:
        s3.delete_object(Bucket=name, Key=key)
    equal(s3.list_objects_v2(Bucket=name)["KeyCount"], 0, "the number of remaining objects")
    once(s3.delete_bucket, "NoSuchBucket", name)


def presigned():
    """Presigned URLs, used by a plain HTTP client."""
    name = bucket()
    verify = settings["verify"]
    tls = {"ca_certs": verify} if verify else {"cert_reqs": "CERT_NONE"}
    http = urllib3.PoolManager(retries=False, **tls)
    where = {"Bucket": name, "Key": "a b/ü+%2F.txt"}
    put = s3.generate_presigned_url("put_object", Params=where)
    get = s3.generate_presigned_url("get_object", Params=where)
    equal(http.request("PUT", put, body=b"signed").status, 200, "PUT")
    answer = http.request("GET", get)
    equal((answer.status, answer.data), (200, b"signed"), "GET")
    equal(http.request("GET", get[:-1] + ("0" if get[-1] != "0" else "1")).status, 403, "a broken signature")
    equal(http.request("GET", get + "&more=1").status, 403, "a changed query")
    equal(http.request("GET", get.split("?")[0]).status, 403, "no signature")


def ranges():
    """Parts of an object."""
    name = bucket()
    data = os.urandom(200_000)
    s3.put_object(Bucket=name, Key="k", Body=data)
    for spec, part in (
        ("bytes=0-9", data[:10]),
        ("bytes=100000-", data[100_000:]),
        ("bytes=-5", data[-5:]),
        ("bytes=65535-131072", data[65535:131073]),
    ):
        answer = s3.get_object(Bucket=name, Key="k", Range=spec)
        equal(answer["ResponseMetadata"]["HTTPStatusCode"], 206, spec)
        equal(sha256(answer["Body"].read()), sha256(part), spec)
    status_of(lambda: s3.get_object(Bucket=name, Key="k", Range="bytes=200000-"), 416)


def odd_keys():
    """Keys that a normalising proxy would break."""
    name = bucket()
    for key in ODD_KEYS:
        body = key.encode()
        s3.put_object(Bucket=name, Key=key, Body=body)
        equal(s3.get_object(Bucket=name, Key=key)["Body"].read(), body, key)
        equal(s3.head_object(Bucket=name, Key=key)["ContentLength"], len(body), key)
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=name)["Contents"]]
    equal(sorted(listed), sorted(ODD_KEYS), "the list")


def expect():
    """Uploads with Expect: 100-continue that fail early. The client and its connections continue to work."""
    name = bucket()
    body = os.urandom(8 << 20)
    wrong = client(secret="not-the-secret-key")
    for _ in range(5):
        status_of(lambda: wrong.put_object(Bucket=name, Key="k", Body=body), 403)
    s3.put_object(Bucket=name, Key="k", Body=body)
    if settings["minio"]:
        nowhere = lambda: s3.put_object(Bucket="no-such-" + name, Key="k", Body=body)
        status_of(nowhere, 404)
        for _ in range(3):
            again = lambda: s3.put_object(Bucket=name, Key="k", Body=body, IfNoneMatch="*")
            status_of(again, 412)
    equal(sha256(s3.get_object(Bucket=name, Key="k")["Body"].read()), sha256(body), "the object")


def gate(path, n):
    """Reports to the test that request n is next, and waits for its go-ahead."""
    print(f"at {n}", flush=True)
    deadline = time.monotonic() + 120
    while not os.path.exists(f"{path}.{n}"):
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for {path}.{n}")
        time.sleep(0.05)


def keep_alive(path):
    """1,000 requests on one connection; the test kills a pod at 300 and restores it at 600."""
    name = bucket()
    s3.put_object(Bucket=name, Key="k", Body=b"steady")
    one = client(max_pool_connections=1)
    for n in range(1000):
        if n in (300, 600):
            gate(path, n)
        equal(one.get_object(Bucket=name, Key="k")["Body"].read(), b"steady", f"request {n}")


def steady(path):
    """Sends GETs without pause on one connection and on new ones. None may fail after the test creates PATH."""
    name = bucket()
    s3.put_object(Bucket=name, Key="k", Body=b"steady")
    http = urllib3.PoolManager(retries=False, cert_reqs="CERT_NONE")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})

    def both():
        equal(s3.get_object(Bucket=name, Key="k")["Body"].read(), b"steady", "one connection")
        answer = http.request("GET", url, headers={"Connection": "close"})
        equal((answer.status, answer.data), (200, b"steady"), "a new connection")

    both()
    print("at work", flush=True)
    done, lost = 0, 0
    while not os.path.exists(path):
        try:
            both()
            done += 1
        except (AssertionError, BotoCoreError, ClientError, urllib3.exceptions.HTTPError):
            lost += 1
    print(f"{done} done, {lost} lost", flush=True)
    for _ in range(100):
        both()


scenarios = {f.__name__.replace("_", "-"): f for f in (round_trip, presigned, ranges, odd_keys, expect, keep_alive, steady)}
scenarios[sys.argv[1]](*sys.argv[2:])
print("good", flush=True)
