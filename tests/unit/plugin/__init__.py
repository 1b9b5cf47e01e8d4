"""What a user of the pytest plugin sees, by running pytest in a process of its own, as users do."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODEL = "shufflenet_v2_x0_5"
