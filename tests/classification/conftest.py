"""A folder of made sounds for each kind."""

from tests.kinds import kinds as kinds
