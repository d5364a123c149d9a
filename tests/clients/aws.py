"""aws-cli with the name resolution of the test: aws.py ARGUMENTS…"""

import sys
import warnings

import common  # noqa: F401  (patches the resolver)
from awscli.clidriver import main

warnings.filterwarnings("ignore")
sys.exit(main())
