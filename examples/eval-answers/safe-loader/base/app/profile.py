import json


def read_profile(text):
    """The profile that a user uploaded."""
    return json.loads(text)
