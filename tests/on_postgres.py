"""Runs pytest with PostgreSQL as the store; its arguments are those of pytest."""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["HUB_TEST_STORE"] = "postgres"
    sys.exit(pytest.main())
