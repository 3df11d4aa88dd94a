"""Which demonstrations stand in a prompt: those that a learned policy draws or prefers, the nearest, random or fixed ones.

The policy is a linear map of frozen text features, shared by queries and candidates (Fei et al., "Dysen-VDM", CVPR 2024).
Demonstrations are drawn one after another without replacement, so the probability of a draw is that of Plackett and Luce.

Legend: N texts, Q queries, C candidates, K demonstrations drawn for a query, D width of the features, W of the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.seeds import item_seed

Choice = tuple[int, ...]
"""Candidates in the order in which they stand in the prompt: the best one last, next to the query."""


class Captions(NamedTuple):
    """Texts and their features [N, D], unit vectors of `tasks.common.text_features`; None where there is no encoder."""

    texts: tuple[str, ...]
    vectors_ND: Tensor | None


Scorer = Callable[[Captions, Captions], Tensor]
"""From queries and candidates to scores [Q, C], the higher the better; a row with NaN or infinity in it says: not known."""


class DemonstrationPolicy(torch.nn.Module):
    """Scores a candidate by the inner product of its mapped features and the query's, divided by the temperature.

    Untrained, with W at least D, the scores are the cosines: the policy begins at the nearest neighbours.
    """

    def __init__(self, features: int, width: int = 128, temperature: float = 1.0, seed: int = 0) -> None:
        """Takes D, W, the temperature, and the seed of the first weights, orthonormal ones."""
        super().__init__()
        self.temperature = temperature
        self.map_WD = torch.nn.Parameter(torch.empty(width, features))
        torch.nn.init.orthogonal_(self.map_WD, generator=torch.Generator().manual_seed(seed))

    def forward(self, queries_QD: Tensor, candidates_CD: Tensor, allowed_QC: Tensor) -> Tensor:
        """Logarithms [Q, C] of the probabilities of the first draw; -inf where a candidate is not allowed."""
        mapped_QW, mapped_CW = queries_QD @ self.map_WD.T, candidates_CD @ self.map_WD.T
        scores_QC: Tensor = mapped_QW @ mapped_CW.T / self.temperature
        return scores_QC.masked_fill(~allowed_QC, -torch.inf).log_softmax(-1)

    @torch.no_grad()
    def scores(self, queries: Captions, candidates: Captions) -> Tensor:
        """A `Scorer`.

        Raises:
            UserError: the features have another width than those that the policy was made for.
        """
        if queries.vectors_ND is None or candidates.vectors_ND is None:
            return _not_known(queries, candidates)
        widths = {queries.vectors_ND.shape[-1], candidates.vectors_ND.shape[-1]}
        if widths != {self.map_WD.shape[1]}:
            raise UserError(
                f"features of width {', '.join(map(str, sorted(widths)))} for a policy that takes {self.map_WD.shape[1]}; "
                "use the text encoder that it was trained with"
            )
        map_WD = self.map_WD.double()
        mapped_CW = candidates.vectors_ND.double() @ map_WD.T
        return _products([map_WD @ query_D for query_D in queries.vectors_ND.double()], mapped_CW) / self.temperature


def _not_known(queries: Captions, candidates: Captions) -> Tensor:
    return torch.full((len(queries.texts), len(candidates.texts)), torch.nan, dtype=torch.float64)


def _products(queries: Sequence[Tensor], candidates_CD: Tensor) -> Tensor:
    """[Q, C], query by query, so that the last bits do not depend on the company."""
    if not queries:
        return torch.empty(0, len(candidates_CD), dtype=torch.float64)
    return torch.stack([candidates_CD @ query_D for query_D in queries])


def nearest(queries: Captions, candidates: Captions) -> Tensor:
    """A `Scorer`: the cosine of the features."""
    if queries.vectors_ND is None or candidates.vectors_ND is None:
        return _not_known(queries, candidates)
    return _products(list(queries.vectors_ND.double()), candidates.vectors_ND.double())


def at_random(seed: int) -> Scorer:
    """A `Scorer` that any order is as likely of; it depends on the seed, the query's text and the number of candidates."""

    def scores(queries: Captions, candidates: Captions) -> Tensor:
        found_QC = torch.empty(len(queries.texts), len(candidates.texts), dtype=torch.float64)
        for row_C, text in zip(found_QC, queries.texts, strict=True):
            row_C.uniform_(generator=torch.Generator().manual_seed(item_seed(seed, text)))
        return found_QC

    return scores


def fixed(queries: Captions, candidates: Captions) -> Tensor:
    """A `Scorer`: the first candidates are the best, for every query."""
    return -torch.arange(len(candidates.texts), dtype=torch.float64).repeat(len(queries.texts), 1)


class Decision(NamedTuple):
    """A choice, and which of the scorers made it."""

    choice: Choice
    scorer: int


class Chooser:
    """Chooses for each query the candidates with the highest scores; among equal ones the first in the list.

    A query's own text is never chosen for it.
    """

    def __init__(self, *scorers: Scorer) -> None:
        """Takes a ladder: each scorer is asked where the ones before it do not know. The last one has to know."""
        self._scorers = scorers

    def choose(self, queries: Captions, candidates: Captions, shots: int) -> list[Choice]:
        """One choice of `shots` candidates for each query.

        Raises:
            UserError: a query has fewer candidates, or no scorer knows.
        """
        return [decision.choice for decision in self.decide(queries, candidates, shots)]

    def decide(self, queries: Captions, candidates: Captions, shots: int) -> list[Decision]:
        """`choose`, with the scorer that was followed."""
        allowed_QC = allowed_candidates(queries.texts, candidates.texts, shots)
        best_QC = torch.full(allowed_QC.shape, torch.nan, dtype=torch.float64)
        scorers_Q = torch.full((len(queries.texts),), -1)
        for index, scorer in enumerate(self._scorers):
            if (scorers_Q >= 0).all():
                break
            scores_QC = scorer(queries, candidates).double()
            known_Q = (scorers_Q < 0) & torch.isfinite(scores_QC).all(-1)
            best_QC[known_Q], scorers_Q[known_Q] = scores_QC[known_Q], index
        if (scorers_Q < 0).any():
            text = queries.texts[int((scorers_Q < 0).nonzero()[0])]
            raise UserError(f"no demonstrations for {text[:60]!r}: scores are not finite; check the text encoder")
        ranked_QC = best_QC.masked_fill(~allowed_QC, -torch.inf).sort(dim=-1, descending=True, stable=True).indices
        return list(map(Decision, as_choices(ranked_QC[:, :shots]), scorers_Q.tolist()))


def allowed_candidates(queries: Sequence[str], candidates: Sequence[str], shots: int) -> Tensor:
    """[Q, C]: whether a candidate may stand in a query's prompt, which one with the same words may not.

    Raises:
        UserError: a query has fewer than `shots` candidates.
    """
    plain = [_plain(text) for text in candidates]
    rows = [[text != query for text in plain] for query in map(_plain, queries)]
    allowed_QC = torch.tensor(rows, dtype=torch.bool).reshape(len(queries), len(candidates))
    for text, count in zip(queries, allowed_QC.sum(-1).tolist(), strict=True):
        if count < shots:
            raise UserError(
                f"{shots} demonstrations asked for, but only {count} candidates that are not {text[:60]!r} itself; "
                "ask for fewer or give more candidates"
            )
    return allowed_QC


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def as_choices(drawn_QK: Tensor) -> list[Choice]:
    """Draws or ranks, the first or best ones first, as choices."""
    return [tuple(row) for row in drawn_QK.flip(-1).tolist()]


def draw(logs_QC: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Candidates [Q, K] in the order in which they are drawn without replacement.

    Args:
        logs_QC: logarithms of the candidates' weights, on the CPU; -inf is never drawn as long as others are left.
        shots: K.
        generator: of the noise whose largest sums with the logarithms are the draw (Gumbel's trick).
    """
    uniform_QC = torch.rand(logs_QC.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    return (logs_QC - (-uniform_QC.log()).log()).sort(dim=-1, descending=True, stable=True).indices[:, :shots]


def draw_log_probability(logs_QC: Tensor, drawn_QK: Tensor) -> Tensor:
    """Exact logarithm [Q] of the probability of drawing these candidates in this order without replacement.

    It is the sum over k of log p(j_k) - log(1 - sum of p(j_l) over l < k), computed as logarithms of sums over what is left.

    Args:
        logs_QC: logarithms of the candidates' weights, which need not sum to 1.
        drawn_QK: distinct candidates of finite weight.
    """
    drawn_QKC = torch.nn.functional.one_hot(drawn_QK, logs_QC.shape[-1])
    gone_QKC = (drawn_QKC.cumsum(1) - drawn_QKC).bool()
    left_QK = logs_QC[:, None].masked_fill(gone_QKC, -torch.inf).logsumexp(-1)
    return (logs_QC.gather(-1, drawn_QK) - left_QK).sum(-1)


def entropy(logs_QC: Tensor) -> Tensor:
    """Entropy [Q] in nats of the first draw, from logarithms of probabilities."""
    return -(logs_QC.exp() * logs_QC.masked_fill(logs_QC == -torch.inf, 0)).sum(-1)
