"""The ground that the tests stand on: dates, kinds, seeds."""
