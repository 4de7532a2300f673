"""Posteriors of parameters: a logistic regression and a factor model, chains in one batch against NumPyro's NUTS."""

import math

import numpy as np
import torch
from contenders_parameters import CONTENDERS
from peers import interleaved_cold
from side_by_side import publish, table, where

from ebm_causal.sampling import mixing

REPETITIONS = 3
GATE = (0.75, 1.25)  # rms of z-scores over the parameters of all repetitions
GOALS = {"64": 80.0, "4": 8.0, "factors": 10.0}


def logistic_rows():
    """1000 rows, 24 inputs and an intercept."""
    generator = np.random.default_rng(0)
    x, weight = generator.normal(size=(1000, 24)), 0.3 * generator.normal(size=25)
    chance = 1 / (1 + np.exp(-x @ weight[:24] - weight[24]))
    return {"x": x, "y": (generator.uniform(size=1000) < chance).astype(float)[:, None]}


def factor_rows():
    """200 rows of ten numbers that one latent moves: 20 parameters, 200 latents."""
    generator = np.random.default_rng(1)
    weight, offset = np.linspace(0.6, 1.4, 10), np.linspace(-1, 1, 10)
    return {"y": generator.normal(size=(200, 1)) * weight + offset + 0.5 * generator.normal(size=(200, 10))}


def logistic_density(data):
    x = torch.cat([torch.tensor(data["x"]), torch.ones(len(data["x"]), 1, dtype=torch.float64)], 1)
    y = torch.tensor(data["y"])[:, 0]

    def density(w):
        logits = x @ w.mT
        likelihood = (y[:, None] * logits - torch.nn.functional.softplus(logits)).sum(0)
        return likelihood - 0.5 * (w / 10).square().sum(-1)

    return density, torch.zeros(25, dtype=torch.float64)


def factor_density(data):
    """Latents integrated out in closed form."""
    y = torch.tensor(data["y"])
    mean, scatter = y.mean(0), torch.cov(y.T, correction=0)

    def one(w):
        loading, offset = w[:10], w[10:]
        covariance = torch.outer(loading, loading) + 0.25 * torch.eye(10, dtype=w.dtype)
        away = scatter + torch.outer(mean - offset, mean - offset)
        likelihood = (
            -0.5 * len(y) * (torch.logdet(covariance) + torch.trace(torch.linalg.solve(covariance, away)))
        )
        return likelihood - 0.5 * ((loading - 1) / 0.5).square().sum() - 0.5 * (offset / 3).square().sum()

    return torch.func.vmap(one), torch.cat([torch.ones(10, dtype=torch.float64), mean])


def truth(density, start, draws=200_000):
    """Mean and sd of the posterior by importance sampling from a Student-t around the mode, and its effective size."""
    at = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([at], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        loss = -density(at[None])[0]
        loss.backward()
        return loss

    optimizer.step(closure)
    mode = at.detach()
    curvature = -torch.autograd.functional.hessian(lambda w: density(w[None])[0], mode)
    factor = torch.linalg.cholesky(torch.linalg.inv(curvature))
    law = torch.distributions.StudentT(30.0)
    torch.manual_seed(0)
    with torch.no_grad():
        noise = law.sample((draws, len(mode))).double()
        points = mode + noise @ factor.mT
        logs = torch.cat([density(some) for some in points.split(10_000)]) - law.log_prob(noise).sum(-1)
    weights = torch.softmax(logs, 0)[:, None]
    mean = (weights * points).sum(0)
    sd = (weights * (points - mean) ** 2).sum(0).sqrt()
    return mean.numpy(), sd.numpy(), float(1 / (weights**2).sum())


def judged(outcomes, known):
    """Per contender: z-score rms, least ESS per second, its 1 % quantile, and ESS per second by the error."""
    mean, sd, _ = known
    lines, rates = ["| | z-score rms | min ESS/s | 1 % quantile | by error |", "|---|---|---|---|---|"], {}
    for name, found in outcomes.items():
        if not found:
            continue
        scores, rows = [], []
        for outcome in found:
            draws = outcome.arrays["draws"].astype(float)
            ess = mixing(torch.tensor(draws)).ess_bulk.numpy()
            error = (draws.mean((0, 1)) - mean) / sd
            scores.append(error * np.sqrt(ess))
            rows.append(
                [ess.min(), np.quantile(ess, 0.01), 1 / np.mean(error**2)] / np.array(outcome.seconds)
            )
        rms = math.sqrt(np.mean(np.square(scores)))
        least, quantile, by_error = np.median(rows, 0)
        rates[name] = float(least)
        passed = "" if GATE[0] <= rms <= GATE[1] else f" (gate {GATE[0]} to {GATE[1]}: NOT PASSED)"
        lines.append(f"| {name} | {rms:.2f}{passed} | {least:.4g} | {quantile:.4g} | {by_error:.4g} |")
    return "\n".join(lines), rates


def verdict(rates, own, peer, goal):
    if own not in rates or peer not in rates:
        return f"{own}: no peer to compare with."
    ratio = rates[own] / rates[peer]
    said = "met" if ratio >= goal else f"MISSED by a factor of {goal / ratio:.2g}"
    return f"{own} has {ratio:.3g} times the least ESS per second of {peer} (goal {goal:.0f}: {said})."


def section(title, data, density, names, comparisons):
    known = truth(*density(data))
    contenders = {name: name.startswith("NumPyro") for name in names}
    outcomes, rows = interleaved_cold("contenders_parameters.py", contenders, data, repetitions=REPETITIONS)
    quality, rates = judged(outcomes, known)
    lines = [verdict(rates, *comparison) for comparison in comparisons]
    seen = {o.versions for found in outcomes.values() for o in found}
    return (
        f"### {title}\n\nThe truth is by importance sampling (effective size {known[2]:.0f}). "
        + " ".join(lines)
        + f"\n\n{table(rows, unit='s')}\n\n{quality}\n\n{'; '.join(sorted(seen))}."
    )


def main():
    torch.set_num_threads(1)
    names = list(CONTENDERS)
    logistic = section(
        "Logistic regression, 25 parameters, 1000 rows", logistic_rows(), logistic_density, names[:4],
        [(names[0], names[2], GOALS["64"]), (names[1], names[2], GOALS["4"]), (names[0], names[3], 1.0)],
    )  # fmt: skip
    factors = section(
        "Factor model, 20 parameters and 200 latents", factor_rows(), factor_density, names[4:],
        [(names[4], names[6], GOALS["factors"]), (names[5], names[6], GOALS["factors"])],
    )  # fmt: skip
    publish(
        "parameters",
        "## Posteriors of parameters\n\nEach contender runs in a fresh process; warm-up, tracing and compilation "
        "count, imports do not.\nESS is bulk ESS, computed alike for all; per second of CPU, median of "
        f"{REPETITIONS} repetitions.\n\n{logistic}\n\n{factors}\n\n{where('ebm-causal', 'torch')}",
    )


if __name__ == "__main__":
    main()
