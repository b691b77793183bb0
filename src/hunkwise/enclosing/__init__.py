"""The code that a change stands in: functions and classes around its hunks."""
