import pytest


@pytest.fixture(scope="package")
def check_inputs() -> int:
    # tests/correctness uses eight. This check comes before every number, and a float64 reference
    # of eight inputs would take as long as the timing itself.
    return 3
