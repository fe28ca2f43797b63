"""Two-level screening designs: every start informs every factor.

An orthogonal design of N rows estimates each effect with a standard error of 2 s / sqrt(N),
against s * sqrt(2) for one pair of starts spent on that factor alone. Where the rows allow it the
design is folded (each row together with its mirror image in the same block), which clears main
effects of two-factor interactions and of block effects. With 24 rows that is the 12-run
Plackett-Burman design with its column of ones, folded: 12 factors at resolution IV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int8]

LARGEST = 48
"""The largest Hadamard order built here; folded designs go to twice as many rows."""

_MIN_DF = 3
_GOOD_DF = 9
"""Residual df from which on blocks are worth theirs: with 12 factors in 24 rows, three blocks (9
df) found a 5 % gain at 2 % noise in 88 % of 200 studies, six blocks (6 df) in 81 %
(benchmarks/search.py, L1)."""

_FAIR_DF = 6


_OVERLAP = 0.25
"""How much of the blocks' contrasts may be shared with factors (part of a sum of squares)."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A two-level design: ``blocks`` of rows, each row saying for each factor whether it is on."""

    blocks: tuple[tuple[tuple[bool, ...], ...], ...]

    @property
    def rows(self) -> int:
        """Number of starts."""
        return sum(len(block) for block in self.blocks)


@cache
def hadamard(order: int) -> Matrix:
    """Return a Hadamard matrix whose first column is all ones.

    Built by Sylvester's doubling and Paley's two constructions (Paley 1933), which reach
    every multiple of 4 up to 48.

    Raises:
        ValueError: the order is not 1, 2 or a multiple of 4 up to 48.
    """
    if order not in (1, 2) and (order % 4 or not 4 <= order <= LARGEST):
        raise ValueError(f"a Hadamard order is 1, 2 or a multiple of 4 to {LARGEST}, not {order}")
    matrix = _construct(order)
    matrix = matrix * matrix[:, :1]
    if not np.array_equal(matrix.T.astype(int) @ matrix, order * np.eye(order)):
        raise AssertionError(f"the construction of order {order} is not orthogonal")
    return matrix


def _construct(order: int) -> Matrix:
    if order == 1:
        return np.ones((1, 1), dtype=np.int8)
    if _is_prime(order - 1) and order > 2:
        return _paley_one(order - 1)
    if order % 8 == 4 and _is_prime(order // 2 - 1):
        return _paley_two(order // 2 - 1)
    half = hadamard(order // 2)
    return np.block([[half, half], [half, -half]])


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _residues(prime: int) -> Matrix:
    """Return Jacobsthal's matrix: whether the difference of two indices is a square."""
    squares = {value * value % prime for value in range(1, prime)}
    symbol = [0] + [1 if value in squares else -1 for value in range(1, prime)]
    return np.array(
        [[symbol[(i - j) % prime] for j in range(prime)] for i in range(prime)], dtype=np.int8
    )


def _bordered(prime: int, sign: int) -> Matrix:
    matrix = np.zeros((prime + 1, prime + 1), dtype=np.int8)
    matrix[0, 1:] = 1
    matrix[1:, 0] = sign
    matrix[1:, 1:] = _residues(prime)
    return matrix


def _paley_one(prime: int) -> Matrix:
    return _bordered(prime, -1) + np.eye(prime + 1, dtype=np.int8)


def _paley_two(prime: int) -> Matrix:
    on = np.array([[1, 1], [1, -1]], dtype=np.int8)
    zero = np.array([[1, -1], [-1, -1]], dtype=np.int8)
    bordered = _bordered(prime, 1)
    return np.kron(bordered, on) + np.kron(np.eye(prime + 1, dtype=np.int8), zero)


def usable_rows(factors: int, most: int) -> int:
    """Return the largest number of rows up to ``most`` that a design for ``factors`` can have.

    0 when fewer than 8 rows are left: fewer cannot both estimate and know their noise.
    """
    for rows in range(min(most, 2 * LARGEST) // 4 * 4, 7, -4):
        if rows <= LARGEST or (rows % 8 == 0 and factors <= rows // 2):
            return rows
    return 0


def factor_capacity(rows: int) -> int:
    """Return how many factors ``rows`` test well: half as many, with 3 df of noise at least.

    More would fit, but each costs a degree of freedom that all tests then lack.
    """
    return max(0, min(rows - 1 - _MIN_DF, rows // 2))


def screen(factors: int, rows: int, rng: np.random.Generator) -> Screen:
    """Return an orthogonal design; columns, signs and the order within blocks are random.

    Args:
        factors: number of factors, at most ``capacity(rows)``.
        rows: a number that ``usable_rows`` gave.
        rng: the source of randomness.

    Raises:
        ValueError: the factors do not fit the rows.
    """
    if not 0 < factors <= factor_capacity(rows):
        raise ValueError(f"{rows} rows screen 1 to {factor_capacity(rows)} factors, not {factors}")
    if rows % 8 == 0 and factors <= rows // 2:
        signs, blocks = _folded(factors, rows, rng)
    else:
        signs, blocks = _straight(factors, rows, rng)
    signs = signs * rng.choice(np.array([-1, 1], dtype=np.int8), size=factors)
    if not np.array_equal(signs.T.astype(int) @ signs, rows * np.eye(factors)):
        raise AssertionError(f"the design of {factors} factors in {rows} rows is not orthogonal")
    groups = [rng.permutation(np.flatnonzero(blocks == label)) for label in np.unique(blocks)]
    return Screen(
        tuple(
            tuple(tuple(bool(sign > 0) for sign in signs[row]) for row in group)
            for group in groups
        )
    )


def _folded(factors: int, rows: int, rng: np.random.Generator) -> tuple[Matrix, NDArray[np.intp]]:
    half = rows // 2
    base = hadamard(half)[rng.permutation(half)]
    columns = rng.permutation(half)[:factors]
    signs = np.vstack([base, -base])[:, columns]
    options = [half // pairs for pairs in range(2, half + 1) if half % pairs == 0]
    blocks = _most_blocks(options, rows - factors)
    label = np.arange(half) * blocks // half
    return signs, np.concatenate([label, label])


def _straight(
    factors: int, rows: int, rng: np.random.Generator
) -> tuple[Matrix, NDArray[np.intp]]:
    """Take columns of a Hadamard matrix, and up to two of those left over to form the blocks."""
    base = hadamard(rows)[rng.permutation(rows)]
    columns = 1 + rng.permutation(rows - 1)
    first, second = base[:, columns[-1]], base[:, columns[-2]]
    halves = (first > 0).astype(np.intp)
    free = rows - factors
    if free >= 4 + _FAIR_DF and rows >= 16:
        # Four blocks also spend the product of the two columns: factors keep clear of it.
        overlap = np.abs((first * second).astype(int) @ base[:, columns[:-2]]) / rows
        nearest = np.argsort(overlap, kind="stable")[:factors]
        if np.sum(overlap[nearest] ** 2) <= _OVERLAP:
            return base[:, columns[:-2][nearest]], halves + 2 * (second > 0)
    blocks = _most_blocks([2], free)
    return base[:, columns[:factors]], halves if blocks == 2 else np.zeros_like(halves)


def _most_blocks(options: Sequence[int], free: int) -> int:
    """Return the most blocks that leave a good residual df, else a sufficient one, else 1."""
    for df in (_GOOD_DF, _FAIR_DF, _MIN_DF):
        fitting = [blocks for blocks in options if free - blocks >= df]
        if fitting:
            return max(fitting)
    return 1


def repair_row(
    row: Sequence[bool], conflicts: Iterable[tuple[int, int]], rng: np.random.Generator
) -> tuple[bool, ...]:
    """Return the nearest row in which no conflicting pair of factors is on together.

    Factors are switched off one by one, the one with the most conflicts first, ties at random
    (so that no partner of a pair loses all its rows).
    """
    on = list(row)
    pairs = [pair for pair in conflicts if on[pair[0]] and on[pair[1]]]
    while pairs:
        counts = np.bincount([factor for pair in pairs for factor in pair])
        worst = int(rng.choice(np.flatnonzero(counts == counts.max())))
        on[worst] = False
        pairs = [pair for pair in pairs if worst not in pair]
    return tuple(on)
