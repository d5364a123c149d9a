"""Prints the compose file given as the argument as JSON, to be looked at by a test."""

import json
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    json.dump(yaml.safe_load(file), sys.stdout)
