#!/usr/bin/env python3
"""Makes the schema files beside it from what Kubernetes, AWS and MinIO publish.

    make.py kubernetes VERSION DIRECTORY    the OpenAPI files of an API server: api/openapi-spec/v3 of Kubernetes' sources,
                                            or what `kubectl get --raw /openapi/v3/...` gives
    make.py crds NAME "TITLE" FILE...       published custom resource definitions, the newest first; fields that only an older
                                            one has are kept, and what only the newer one requires is not required
    make.py eks                             the kinds of EKS Auto Mode, whose definitions AWS does not publish: those of `aws`
                                            with the differences of AWS's guide

A schema file has a title with the version in its first line, then a line for each definition: its name, a tab, a JSON
schema without texts. The name of a kind is its `apiVersion` and `kind`, for example `networking.k8s.io/v1/Ingress`.
Equal parts of a custom resource stand once and are referred to by name, as OpenAPI's definitions are.
"""

import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# The kinds that elbow reads, by the OpenAPI file that has them.
KINDS = {
    "api__v1_openapi.json": ["Endpoints", "Namespace", "Node", "Pod", "Secret", "Service"],
    "apis__discovery.k8s.io__v1_openapi.json": ["EndpointSlice"],
    "apis__networking.k8s.io__v1_openapi.json": ["Ingress", "IngressClass"],
}

# Definitions that are scalars, and what they are called here.
SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"format": "int-or-string"},
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "string", "format": "date-time"},
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": {"type": "string", "format": "micro-time"},
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": {},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {},
}

PREFIX = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

# What a schema of a custom resource says beyond types.
KEPT = [
    "type", "format", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems", "nullable", "required",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
]


def write(name, title, definitions):
    with open(os.path.join(HERE, name + ".schemas"), "w") as file:
        file.write(title + "\n")
        for key in sorted(definitions):
            file.write(f"{key}\t{json.dumps(definitions[key], separators=(',', ':'), sort_keys=True)}\n")


def built_in(schema, wanted):
    """A definition of OpenAPI, reduced; adds the names that it refers to."""
    reference = schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref")
    if reference:
        name = reference.removeprefix(PREFIX)
        if name in SCALARS:
            return SCALARS[name]
        wanted.append(name)
        return {"$ref": name}
    kept = {key: schema[key] for key in ("type", "format") if key in schema}
    if "properties" in schema:
        kept["properties"] = {key: built_in(of, wanted) for key, of in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = built_in(schema["items"], wanted)
    if "additionalProperties" in schema:
        kept["additionalProperties"] = built_in(schema["additionalProperties"], wanted)
    return kept


def kubernetes(version, directory):
    definitions = {}
    for name, kinds in KINDS.items():
        with open(os.path.join(directory, name)) as file:
            schemas = json.load(file)["components"]["schemas"]
        wanted = []
        for schema in schemas.values():
            for one in schema.get("x-kubernetes-group-version-kind", []):
                path = f"/{one['group']}/{one['version']}" if one["group"] else f"_{one['version']}"
                served = name.removesuffix("_openapi.json").replace("apis__", "/").replace("api__", "_").replace("__", "/")
                if path == served and one["kind"] in kinds:
                    api_version = path.strip("/_")
                    definitions[f"{api_version}/{one['kind']}"] = built_in(schema, wanted)
        while wanted:
            name = wanted.pop()
            if name not in definitions:
                definitions[name] = built_in(schemas[name], wanted)
    write("kubernetes", f"Kubernetes {version}, OpenAPI v3", definitions)


def custom(schema, root=False):
    """A schema of a custom resource, reduced."""
    kept = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in schema:
        kept["properties"] = {key: custom(of) for key, of in schema["properties"].items()}
        if root:
            kept["properties"]["metadata"] = {"$ref": META}
    if isinstance(schema.get("items"), dict):
        kept["items"] = custom(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = custom(schema["additionalProperties"])
    if "default" in schema:
        kept["default"] = schema["default"]
    return kept


def add_older(newer, older):
    """Adds what only the older schema of a kind allows."""
    for key, of in older.get("properties", {}).items():
        if key in newer.get("properties", {}):
            add_older(newer["properties"][key], of)
        elif "properties" in newer:
            newer["properties"][key] = of
    for key in ("items", "additionalProperties"):
        if key in newer and key in older:
            add_older(newer[key], older[key])
    if "required" in newer:
        newer["required"] = [name for name in newer["required"] if name in older.get("required", [])]
    if "enum" in newer and "enum" in older:
        newer["enum"] += [one for one in older["enum"] if one not in newer["enum"]]


def share(definitions):
    """Replaces equal large parts by references."""
    counts = {}

    def count(schema):
        text = json.dumps(schema, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
        if counts[text] == 1:
            below(schema, count)

    def below(schema, visit):
        for key in ("items", "additionalProperties"):
            if key in schema:
                schema[key] = visit(schema[key]) or schema[key]
        for key, of in schema.get("properties", {}).items():
            schema["properties"][key] = visit(of) or of

    shared = {}

    def replace(schema):
        text = json.dumps(schema, sort_keys=True)
        if counts.get(text, 0) > 1 and len(text) > 200:
            name = "part-" + hashlib.sha256(text.encode()).hexdigest()[:12]
            if name not in shared:
                shared[name] = schema
                below(schema, replace)
            return {"$ref": name}
        below(schema, replace)
        return None

    for schema in definitions.values():
        count(schema)
    for schema in definitions.values():
        below(schema, replace)
    definitions.update(shared)


def crds(name, title, paths):
    import yaml

    definitions = {}
    for path in paths:
        with open(path) as file:
            documents = [document for document in yaml.safe_load_all(file) if document]
        for crd in documents:
            spec = crd["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    key = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
                    schema = custom(version["schema"]["openAPIV3Schema"], root=True)
                    if key in definitions:
                        add_older(definitions[key], schema)
                    else:
                        definitions[key] = schema
    share(definitions)
    write(name, title, definitions)


GUIDE = "https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html"


def eks():
    with open(os.path.join(HERE, "aws.schemas")) as file:
        title, *lines = file.read().splitlines()
    definitions = {key: json.loads(schema) for key, schema in (line.split("\t") for line in lines)}
    group = {}
    for kind in ["IngressClassParams", "TargetGroupBinding"]:
        group[f"eks.amazonaws.com/v1/{kind}"] = definitions[f"elbv2.k8s.aws/v1beta1/{kind}"]
    params = group["eks.amazonaws.com/v1/IngressClassParams"]["properties"]["spec"]["properties"]
    params["certificateARNs"] = params.pop("certificateArn")
    # The guide names the field and does not say of what type it is.
    params["subnets"]["properties"]["matchTags"] = {}
    listener = params["listeners"]["items"]["properties"]
    listener["attributes"] = listener["listenerAttributes"]
    binding = group["eks.amazonaws.com/v1/TargetGroupBinding"]["properties"]["spec"]
    binding["required"] = ["serviceRef", "targetType"]
    write("eks", f"EKS Auto Mode: {title}, and the differences of {GUIDE}", group)


def main():
    match sys.argv[1:]:
        case ["kubernetes", version, directory]:
            kubernetes(version, directory)
        case ["eks"]:
            eks()
        case ["crds", name, title, *paths] if paths:
            crds(name, title, paths)
        case _:
            sys.exit(__doc__)


main()
