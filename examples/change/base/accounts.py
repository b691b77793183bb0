"""Accounts of a small shop."""

import sqlite3


def connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path)


def find_account(database: sqlite3.Connection, email: str) -> tuple | None:
    return database.execute("SELECT id, email FROM account WHERE email = ?", (email,)).fetchone()


def total(prices: list[int]) -> int:
    return sum(prices)
