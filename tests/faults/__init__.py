"""Faults, made on purpose: each promise of rolloutlog with its trials, and a checker that trusts no part of it.

    python -m tests.faults                       every row at its full size, and one table at the end
    python -m tests.faults kill --trials 10000   a module's rows, or one row (kill.sigkill), at your own size
    python -m tests.faults --list                what there is

The checkers read files as plain bytes and plain JSON; they import nothing of what they check.
"""
