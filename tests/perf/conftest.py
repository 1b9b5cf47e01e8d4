import pytest


@pytest.fixture(scope="package")
def check_inputs() -> int:
    # Half of what tests/correctness uses: this check comes before every number, and a float64
    # reference of eight inputs would take longer than the timing itself.
    return 4
