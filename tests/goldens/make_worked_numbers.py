#!/usr/bin/env python3
"""Writes tests/goldens/worked_numbers.json: what the worked numbers of apps/kl/worked_example.h must be, from the
definitions alone, at 40 digits. Needs mpmath (Debian: python3-mpmath). Run from the repository root: python3 tests/goldens/make_worked_numbers.py

Nothing is taken over from the C++: sums run over the sentences, gradients are finite differences of the definition at
40 digits (so they know no score function), variances are second moments, optima are roots.

Long, because it is a list: one section for each of the page, each from its definition."""
import itertools
import json

from mpmath import diff, exp, factorial, findroot, log, mp, mpf, sqrt

mp.dps = 40
D = mpf
N = range(4)
q, pi, p = [[D(x) / 10 for x in t] for t in ((4, 3, 2, 1), (5, 2, 1, 2), (3, 4, 2, 1))]
r = [D(1), D(0), D(1), D(0)]
the = [D(1), D(1), D(0), D(0)]
tables = {"pi": pi, "q": q, "p": p}
numbers = []
source = ""


def out(name, value):
    values = value if isinstance(value, list) else [value]
    numbers.append({"name": name, "source": source, "values": [float(v) if abs(v) > 1e-22 else 0.0 for v in values]})


def E(w, f): return sum(a * b for a, b in zip(w, f))
def H(a): return -sum(x * log(x) for x in a if x)
def CE(a, b): return -sum(x * log(y) for x, y in zip(a, b) if x)
def KL(a, b): return CE(a, b) - H(a)
def chi2(a, b): return sum((x - y) ** 2 / y for x, y in zip(a, b))
def TV(a, b): return sum(abs(x - y) for x, y in zip(a, b)) / 2
def hellinger2(a, b): return 1 - sum(sqrt(x * y) for x, y in zip(a, b))
def JS(a, b):
    m = [(x + y) / 2 for x, y in zip(a, b)]
    return (KL(a, m) + KL(b, m)) / 2
def softmax(z):
    e = [exp(x - max(z)) for x in z]
    return [x / sum(e) for x in e]
def gradient(F, w=pi):
    """dF/dz at softmax(z) = w, by central differences with an error of about 1e-24."""
    h, g = D(10) ** -12, []
    for j in range(len(w)):
        z = [log(x) for x in w]
        z[j] += h
        up = F(softmax(z))
        z[j] -= 2 * h
        g.append((up - F(softmax(z))) / (2 * h))
    return g
def score(x, w=pi): return [(j == x) - w[j] for j in N]
def moments(coefficient, sampler=pi):
    """Mean and variances of coefficient(x) s(x)."""
    g = [[coefficient[x] * s for s in score(x)] for x in N]
    mean = [sum(sampler[x] * g[x][j] for x in N) for j in N]
    return mean, [sum(sampler[x] * g[x][j] ** 2 for x in N) - mean[j] ** 2 for j in N]
def trace(coefficient, sampler=pi): return sum(moments(coefficient, sampler)[1])
def name(x): return ("%g" % x)


# ---- the world
source = "kl-tutorial 4.1"
out("world.q", q)
out("world.pi", pi)
out("world.p", p)
out("world.r", r)

# ---- divergences
for a in ("pi", "q", "p"):
    source = "kl-tutorial 4.2" if a == "p" else "kl-tutorial 4.1"
    out("entropy." + a, H(tables[a]))
    out("entropy_bits." + a, H(tables[a]) / log(2))
    out("perplexity." + a, exp(H(tables[a])))
for a, b in itertools.permutations(("pi", "q", "p"), 2):
    source = "kl-tutorial 4.2" if "p" in (a, b) else "kl-tutorial 4.1"
    A, B = tables[a], tables[b]
    for key, value in (("kl", KL(A, B)), ("kl_bits", KL(A, B) / log(2)), ("kl_base10", KL(A, B) / log(10)),
                       ("cross_entropy", CE(A, B)), ("chi2", chi2(A, B))):
        out(f"{key}.{a}.{b}", value)
for a, b in (("pi", "q"), ("pi", "p"), ("q", "p")):
    source = "kl-tutorial 4.2" if b == "p" else "kl-tutorial 4.1"
    A, B = tables[a], tables[b]
    for key, value in (("tv", TV(A, B)), ("js", JS(A, B)), ("js_bits", JS(A, B) / log(2)), ("js_unhalved", 2 * JS(A, B)),
                       ("hellinger2", hellinger2(A, B))):
        out(f"{key}.{a}.{b}", value)
source = "kl-tutorial 4.1"
out("jeffreys.pi.q", KL(pi, q) + KL(q, pi))
out("log_ratios.pi.q", [log(a / b) for a, b in zip(pi, q)])
out("terms.pi.q", [a * log(a / b) for a, b in zip(pi, q)])

# ---- the chain rule
source = "kl-tutorial 4.1, word by word"
def words(t): return [t[0] + t[1], t[0] + t[2], t[0] / (t[0] + t[1]), t[2] / (t[2] + t[3])]
def bernoulli(a, b): return KL([a, 1 - a], [b, 1 - b])
for a in ("pi", "q", "p"): out("words." + a, words(tables[a]))
wp, wq = words(pi), words(q)
out("chain.word1", bernoulli(wp[0], wq[0]))
out("chain.word2_after_the", bernoulli(wp[2], wq[2]))
out("chain.word2_after_a", bernoulli(wp[3], wq[3]))
out("chain.sum", KL(pi, q))
product = [wq[0] * wq[1], wq[0] * (1 - wq[1]), (1 - wq[0]) * wq[1], (1 - wq[0]) * (1 - wq[1])]
out("words.product", product)
out("mutual_information.q", KL(q, product))
out("mutual_information.pi", KL(pi, product))

# ---- gradients
source = "kl-tutorial 3.2, 3.3"
def size(g): return sqrt(E(g, g))
gq, gp = gradient(lambda w: KL(w, q)), gradient(lambda w: KL(w, p))
bias = [a - b for a, b in zip(gp, gq)]
out("gradient.kl.pi.q", gq)
out("gradient.kl.pi.p", gp)
out("gradient.bias", bias)
out("gradient.norms", [size(gq), size(gp), size(bias)])
out("gradient.cosine", E(gq, gp) / size(gq) / size(gp))
out("gradient.kl.q.pi", gradient(lambda w: KL(q, w)))
out("gradient.reward", gradient(lambda w: E(w, r)))
out("gradient.entropy", gradient(H))
for b in ("0.1", "0.5", "1", "2"): out("gradient.objective." + b, gradient(lambda w: E(w, r) - D(b) * KL(w, q)))
source = "kl-tutorial 4.2"
out("log_ratios.pi.p", [log(a / b) for a, b in zip(pi, p)])
out("terms.pi.p", [a * log(a / b) for a, b in zip(pi, p)])

# ---- the constant c
source = "kl-tutorial 3.3"
norms = [E(score(x), score(x)) for x in N]
out("score_norms", norms)
out("score_norm_mean", E(pi, norms))
for b in ("p", "q"):
    l = [log(x / y) for x, y in zip(pi, tables[b])]
    shift = lambda c: [x + c for x in l]
    # The variance is a parabola in c: its lowest point from three values.
    def lowest(v):
        v0, v1, v2 = v(D(0)), v(D(1)), v(D(2))
        a = (v2 - 2 * v1 + v0) / 2
        return -(v1 - v0 - a) / (2 * a)
    best = lowest(lambda c: trace(shift(c)))
    each = [lowest(lambda c: moments(shift(c))[1][j]) for j in N]
    out("constant.best." + b, best)
    out("constant.each." + b, each)
    out("constant.variance_0." + b, trace(l))
    out("constant.variance_1." + b, trace(shift(1)))
    out("constant.variance_minus_kl." + b, trace(shift(-KL(pi, tables[b]))))
    out("constant.variance_best." + b, trace(shift(best)))
    out("constant.variance_each." + b, sum(moments(shift(each[j]))[1][j] for j in N))
source = "kl-tutorial 3.2; token-rl 4.2"
baseline = lambda c: trace([x - c for x in r])
out("baseline.best", lowest(baseline))
out("baseline.variance_0", baseline(0))
out("baseline.variance_mean", baseline(E(pi, r)))
out("baseline.variance_best", baseline(lowest(baseline)))

# ---- importance sampling
source = "kl-tutorial 4.2, done properly"
w = [a / b for a, b in zip(pi, p)]
out("importance.weights", w)
out("importance.mean_weight", E(p, w))
out("importance.mean_square", E(p, [x * x for x in w]))
out("importance.ess_fraction", 1 / E(p, [x * x for x in w]))
for key, c in (("0", D(0)), ("minus_kl", -KL(pi, q))):
    f = [w[x] * (log(pi[x] / q[x]) + c) for x in N]
    out("importance.gradient_" + key, moments(f, p)[0])
    out("importance.variance_" + key, trace(f, p))
for n in (1, 2, 4, 8, 16, 32):
    total = D(0)
    for counts in itertools.product(range(n + 1), repeat=3):
        k = list(counts) + [n - sum(counts)]
        if k[3] < 0: continue
        probability = factorial(n)
        for x in N: probability *= p[x] ** k[x] / factorial(k[x])
        total += probability * sum(k[x] * w[x] * r[x] for x in N) / sum(k[x] * w[x] for x in N)
    out(f"importance.self_normalised.{n}", total)

# ---- the posterior
source = "kl-tutorial 3.1"
def posterior(beta, prior=q, reward=r):
    e = [a * exp(x / beta) for a, x in zip(prior, reward)]
    return [x / sum(e) for x in e], sum(e)
def J(t, beta): return E(t, r) - beta * KL(t, q)
for b in ("0.1", "0.5", "1", "2"):
    beta = D(b)
    best, Z = posterior(beta)
    for key, value in (("z", Z), ("log_z", log(Z)), ("j_star", beta * log(Z)), ("j_of_posterior", J(best, beta)),
                       ("table", best), ("reward", E(best, r)), ("kl_to_prior", KL(best, q)), ("entropy", H(best)),
                       ("j_of_pi", J(pi, beta)), ("kl_of_pi", KL(pi, best)), ("gap_of_pi", beta * KL(pi, best)),
                       ("j_of_prior", J(q, beta)), ("kl_to_pi", KL(best, pi)), ("kl_of_prior", KL(q, best))):
        out(f"posterior.{key}.{b}", value)
out("posterior.limit", [D(2) / 3, D(0), D(1) / 3, D(0)])
out("posterior.limit_kl", -log(D(6) / 10))
for target in ("0.02", "0.05", "0.1", "0.2"):
    beta = findroot(lambda b: KL(posterior(b)[0], q) - D(target), D("0.9"))
    out("kl_target." + target, [beta, E(posterior(beta)[0], r)])
source = "token-rl 4.3"
best = posterior(D("0.5"), [D(1)] * 4)[0]
out("entropy_bonus.table", best)
out("entropy_bonus.j_star", E(best, r) + H(best) / 2)

# ---- moments
source = "f-divergence 1.1 (distributional control)"
def tilt(lambdas, features, base=q):
    e = [base[i] * exp(sum(l * f[i] for l, f in zip(lambdas, features))) for i in N]
    return [x / sum(e) for x in e], sum(e)
for m in ("0.5", "0.7", "0.9"):
    L = findroot(lambda l: E(tilt([l], [r])[0], r) - D(m), D(0))
    t, Z = tilt([L], [r])
    for key, value in (("lambda", L), ("z", Z), ("log_z", log(Z)), ("table", t), ("mean", D(m)), ("kl", KL(t, q)),
                       ("dual", KL(t, q)), ("beta", 1 / L)):
        out(f"moments.{key}.{m}", value)
def two(a, b):
    L = list(findroot(lambda x, y: [E(tilt([x, y], [r, the])[0], r) - a, E(tilt([x, y], [r, the])[0], the) - b], (D(0), D(0))))
    return (L,) + tilt(L, [r, the])
L, t, Z = two(D("0.5"), D("0.5"))
for key, value in (("lambda", L), ("z", Z), ("table", t), ("kl", KL(t, q)), ("odds", t[0] * t[3] / t[1] / t[2])):
    out("moments.two." + key, value)
L, t, Z = two(D("0.9"), D("0.3"))
for key, value in (("lambda", L), ("table", t), ("kl", KL(t, q))): out("moments.far." + key, value)
out("moments.hybrid.lambda", log(q[1] / q[0]))
out("moments.hybrid.table", [D("0.5"), D("0.5"), D(0), D(0)])
out("moments.hybrid.kl", KL([D("0.5"), D("0.5"), D(0), D(0)], q))
out("moments.pointwise.table", [D(4) / 7, D(3) / 7, D(0), D(0)])
out("moments.pointwise.kl", -log(D("0.7")))
t, Z = tilt([log(D(6))], [r])
P = [Z * x for x in t]
B = [Z * a / b for a, b in zip(pi, q)]
out("dpg.mean", [Z * g for g in gradient(lambda x: CE(t, x))])
out("dpg.mean_baseline", [Z * g for g in gradient(lambda x: CE(t, x))])
out("dpg.variance", trace([-a / b for a, b in zip(P, q)], q))
out("dpg.variance_baseline", trace([c - a / b for a, b, c in zip(P, q, B)], q))
out("dpg.on_policy_variance", trace([-a / b for a, b in zip(P, pi)]))
out("dpg.on_policy_variance_baseline", trace([Z - a / b for a, b in zip(P, pi)]))

# ---- f-divergences
source = "f-divergence 1.1"
generators = (("forward_kl", lambda t: -log(t)), ("reverse_kl", lambda t: t * log(t)), ("tv", lambda t: abs(t - 1) / 2),
              ("js_unhalved", lambda t: t * log(2 * t / (t + 1)) + log(2 / (t + 1))),
              ("forward_chi2", lambda t: (1 - t) ** 2 / t), ("reverse_chi2", lambda t: (t - 1) ** 2),
              ("hellinger2", lambda t: (1 - sqrt(t)) ** 2 / 2))
for target, t in (("q", q), ("posterior", posterior(D(1))[0])):
    for key, f in generators:
        value = lambda x: sum(b * f(a / b) for a, b in zip(x, t))
        out(f"f.value.{key}.{target}", value(pi))
        out(f"f.reward.{key}.{target}", [-diff(f, a / b) for a, b in zip(pi, t)])
        out(f"f.gradient.{key}.{target}", gradient(value))

# ---- k1, k2, k3
source = "kl-tutorial 3.2 (the log-ratio as an estimate)"
ks = (lambda a, b: log(a / b), lambda a, b: log(a / b) ** 2 / 2, lambda a, b: b / a - 1 - log(b / a))
for i, k in enumerate(ks):
    values = [k(a, b) for a, b in zip(pi, q)]
    mean = E(pi, values)
    variance = E(pi, [x * x for x in values]) - mean ** 2
    fixed_samples = gradient(lambda x: sum(pi[j] * k(x[j], q[j]) for j in N))  # what is differentiated as a loss
    fixed_values = gradient(lambda x: E(x, values))
    for key, value in (("values", values), ("mean", mean), ("bias", mean - KL(pi, q)), ("variance", variance),
                       ("relative", sqrt(variance) / KL(pi, q)), ("loss_gradient", fixed_samples),
                       ("reward_gradient", fixed_values)):
        out(f"k{i + 1}.{key}", value)
for m in ("0.1", "1"):
    mu = D(m)
    d = mu ** 2 / 2  # u = mu^2/2 - mu x is N(d, mu^2): moments of the normal and log-normal distribution
    eu4 = d ** 4 + 6 * d ** 2 * mu ** 2 + 3 * mu ** 4
    k2 = (d ** 2 + mu ** 2) / 2
    k3 = exp(mu ** 2) - 1 + mu ** 2 - 2 * mu ** 2  # var e^-u + var u + 2 cov(e^-u, u)
    out("gaussian." + m, [d, mu / d, (k2 - d) / d, sqrt(eu4 / 4 - k2 ** 2) / d, sqrt(k3) / d])

# ---- groups
source = "token-rl 4.2 (baselines from a group)"
def pairs(advantage):
    g = [D(0)] * 4
    for a, b in itertools.product(N, N):
        for j in N:
            x, y = advantage(r[a], r[b])
            g[j] += pi[a] * pi[b] * (x * score(a)[j] + y * score(b)[j]) / 2
    return g
out("group.leave_one_out", gradient(lambda x: E(x, r)))
out("group.mean_with_itself", [x / 2 for x in gradient(lambda x: E(x, r))])
def normalised(x, y):  # the sample standard deviation of two is |x - y| / sqrt(2)
    return (D(0), D(0)) if x == y else ((x - y) / abs(x - y) / sqrt(D(2)), (y - x) / abs(x - y) / sqrt(D(2)))
out("group.normalised", pairs(normalised))
deviation = sqrt((3 * D(5) ** 2 + 5 * D(3) ** 2) / 64 / 7)
out("group.three_of_eight.normalised", [D(5) / 8 / deviation, -D(3) / 8 / deviation])
out("group.three_of_eight.leave_one_out", [D(5) / 7, -D(3) / 7])

# ---- closed forms
source = "kl-tutorial 3.1 (choosing the coefficient)"
for k, e in (("12", "0.2"), ("6.3", "0.05"), ("0", "-0.2")): out("controller." + k, D("0.2") * (1 + D(e) * 256 / 10000))
source = "rl-objectives 2.3 (actor-critic)"
deltas = [D("0.99") * D("0.6") - D("0.5"), D("0.99") * D("0.7") - D("0.6"), 1 - D("0.7")]
decay = D("0.99") * D("0.95")
A = [deltas[0] + decay * deltas[1] + decay ** 2 * deltas[2], deltas[1] + decay * deltas[2], deltas[2]]
out("advantages.generalised", A)
out("advantages.returns", [a + v for a, v in zip(A, (D("0.5"), D("0.6"), D("0.7")))])
source = "f-divergence 1.1 (preferences)"
for b in ("0.5", "1"):
    beta = D(b)
    def dpo(t):
        loss = D(0)
        for i, j in itertools.combinations_with_replacement(N, 2):
            draws = q[i] * q[j] * (1 if i == j else 2)
            prefer = 1 / (1 + exp(r[j] - r[i]))
            margin = beta * (log(t[i] / q[i]) - log(t[j] / q[j]))
            loss += draws * (prefer * log(1 + exp(-margin)) + (1 - prefer) * log(1 + exp(margin)))
        return loss
    out("dpo.q." + b, dpo(q))
    out("dpo.posterior." + b, dpo(posterior(beta)[0]))
    out("dpo.pi." + b, dpo(pi))

# ---- maximum likelihood and the posterior over parameters
source = "kl-bayes 3.1, 4.1"
for key, value in (("sentence", H(q)), ("word", H(q) / 2), ("token", H(q) / 3), ("word_perplexity", exp(H(q) / 2)),
                   ("under_pi", CE(q, pi)), ("auxiliary", H(p)), ("log_likelihood", sum(k * log(D(k) / 10) for k in (4, 3, 2, 1)))):
    out("mle." + key, value)
source = "kl-bayes 2.5, 3.3"
post = [D(k + 1) / 14 for k in (4, 3, 2, 1)]
out("dirichlet.mean", post)
out("dirichlet.variance", [a * (14 - a) / (D(14) ** 2 * 15) for a in (5, 4, 3, 2)])
evidence, seen = D(0), [0] * 4  # predict the sentences one by one
for x in [0] * 4 + [1] * 3 + [2] * 2 + [3]:
    evidence += log(D(seen[x] + 1) / (sum(seen) + 4))
    seen[x] += 1
out("dirichlet.log_evidence", evidence)

# ---- tokens: one logit for each choice of a word
source = "token-rl 4.1, 3.3"
def from_logits(z):
    a, b, c = [1 / (1 + exp(-x)) for x in z]
    return [a * b, a * (1 - b), (1 - a) * c, (1 - a) * (1 - c)]
logits = [log(x / (1 - x)) for x in (wp[0], wp[2], wp[3])]
def token_gradient(F):
    h, g = D(10) ** -12, []
    for j in range(3):
        up, down = logits[:], logits[:]
        up[j] += h
        down[j] -= h
        g.append((F(from_logits(up)) - F(from_logits(down))) / (2 * h))
    return g
out("tokens.gradient.reward", token_gradient(lambda t: E(t, r)))
out("tokens.gradient.kl", token_gradient(lambda t: KL(t, q)))
def myopic(t):  # the KL of the first word only sees the first logit; that of the second, with prefixes held fixed
    a = words(t)
    return bernoulli(a[0], wq[0]) + wp[0] * bernoulli(a[2], wq[2]) + (1 - wp[0]) * bernoulli(a[3], wq[3])
out("tokens.gradient.kl_without_future", token_gradient(myopic))
out("tokens.values", [E(pi, r), wp[2], wp[3]])
source = "token-rl 2.2, 4.3"
for b in ("0.1", "0.5", "1", "2"):
    beta = D(b)
    best, Z = posterior(beta)
    t = words(best)
    def V(c): return beta * log(c * exp(1 / beta) + 1 - c)
    out("tokens.soft_values." + b, [V(wq[2]), V(wq[3]), beta * log(Z)])
    out("tokens.soft_policy." + b, [t[0], t[2], t[3]])

# ---- ascent: z <- z + dJ/dz, with the gradient of the definition in closed form
source = "kl-tutorial 3.2 (the six steps, exactly)"
def ascend(beta, reward, steps):
    z, found = [log(x) for x in q], {}
    for n in range(max(steps) + 1):
        t = softmax(z)
        if n in steps: found[n] = t
        advantage = [reward[x] - beta * log(t[x] / q[x]) for x in N]
        mean = E(t, advantage)
        z = [z[x] + t[x] * (advantage[x] - mean) for x in N]
    return found
for b in ("0", "0.1", "0.5", "1", "2"):
    for n, t in ascend(D(b), r, (0, 1, 10, 100, 1000, 2000)).items():
        rest = KL(t, posterior(D(b))[0]) if D(b) else -log(E(t, r))
        out(f"ascent.{b}.{n}", [E(t, r), H(t), KL(t, q), rest])
unequal = [D(1), D("0.5"), D("0.2"), D(0)]
for n, t in ascend(D(0), unequal, (0, 10, 100, 1000, 2000)).items():
    out(f"collapse.{n}", [E(t, unequal), H(t), KL(t, q), t[0]])

# ---- listings
source = "rl-objectives 5.1"
out("softmax_twice.pi", softmax(pi))
for n in (4, 100): out(f"softmax_twice.most.{n}", exp(D(1)) / (exp(D(1)) + n - 1))
source = "token-rl 5.1"
for hits in ((1, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1)):
    out("similarity.%d%d%d" % hits, [D(3 * hits[0] + 2 * hits[1] + hits[2]) / 3, D(sum(hits)) / 3])

documents = {
    "kl-tutorial": "大语言模型原理基础与前沿 带有KL惩罚的强化学习：贝叶斯推理观点 (unsigned)",
    "rl-objectives": "大语言模型原理与工程实践：强化学习的目标 (禅与计算机程序设计艺术)",
    "token-rl": "大语言模型原理与工程实践：Token-level 强化建模 (unsigned)",
    "f-divergence": "大语言模型原理基础与前沿 通过f散度最小化统一RLHF和GDC方法 (unsigned)",
    "kl-bayes": "without a title: language models, RL with a KL penalty, Bayesian language models (禅与计算机程序设计艺术)",
}
printed = [
    {"source": "kl-tutorial 4.1", "what": "D_KL(pi||q)", "printed": 0.22, "name": "kl.pi.q"},
]
about = ("What apps/kl/worked_example.h computes must be these numbers, to 1e-12 (trajectories ascent.* and collapse.*: 1e-9). "
         "From the definitions at 40 digits by tests/goldens/make_worked_numbers.py. Natural logarithms unless the name "
         "says bits. Sentences: the cat, the dog, a cat, a dog; q = .4 .3 .2 .1, pi = .5 .2 .1 .2, p = .3 .4 .2 .1, "
         "reward r = 1 0 1 0. 'source' is the document and section whose example or formula a number belongs to; "
         "'printed' lists the figures that a document itself gives.")
lines = ["{", f'"about": {json.dumps(about)},', '"documents": {']
lines += [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" + ("," if k != list(documents)[-1] else "") for k, v in documents.items()]
lines += ["},", '"printed": [']
lines += [" " + json.dumps(x) + ("," if x is not printed[-1] else "") for x in printed]
lines += ["],", '"numbers": [']
lines += [" " + json.dumps(x) + ("," if x is not numbers[-1] else "") for x in numbers]
lines += ["]", "}"]
with open("tests/goldens/worked_numbers.json", "w") as file:
    file.write("\n".join(lines) + "\n")
