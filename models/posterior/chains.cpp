#include "models/posterior/chains.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/long_loop.h"
#include "models/families.h"

namespace gradus {

int64_t targets_in(const Corpus& corpus, Split split) {
  int64_t n = 0;
  for (int64_t i = 0; i < corpus.windows(split); ++i) {
    const Window window = corpus.window(split, i);
    n += std::ssize(window.targets) - window.first_scored;
  }
  return n;
}

double sequences_in(const Corpus& corpus, Split split) { return double(corpus.windows(split)); }

void draw_sequences(Batch& batch, const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t B) {
  const int64_t S = corpus.windows(split);
  batch.windows.clear();
  for (int64_t b = first; b < first + B; ++b) batch.windows.push_back(corpus.window(split, rng.at(b).below(0, S)));
  batch.pack();
}

TextPotential::TextPotential(LanguageModel& net, const Corpus& corpus, Shards& shards, int64_t B, double prior_scale)
    : net_(net),
      corpus_(corpus),
      shards_(shards),
      B_(B),
      prior_scale_(prior_scale),
      batch_loss_(shards),
      tokens_(targets_in(corpus, Split::kTrain)),
      sequences_(sequences_in(corpus, Split::kTrain)) {}

void TextPotential::begin(std::span<const double> q, std::span<double> gradient) {
  std::ranges::transform(q, net_.params().edit().begin(), [](double x) { return real(x); });
  std::ranges::fill(gradient, 0);
}

// Adds the batch. Its tapes do not train: nothing is dropped, so that U is a function of θ.
void TextPotential::add_batch(double& nats, std::span<double> gradient) {
  nats += batch_loss_.forward(net_, batch_, {});
  batch_loss_.backward(1);
  const std::span<const real> part = shards_.gradient(net_.params());
  for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += double(part[i]);
}

double TextPotential::prior(std::span<const double> q) const {
  return std::inner_product(q.begin(), q.end(), q.begin(), 0.0) / (2 * prior_scale_ * prior_scale_);
}

double TextPotential::end(std::span<const double> q, std::span<double> gradient, double nats, double weight) const {
  for (size_t i = 0; i < q.size(); ++i) gradient[i] = weight * gradient[i] + q[i] / (prior_scale_ * prior_scale_);
  return weight * nats + prior(q);
}

double TextPotential::whole(std::span<const double> q, std::span<double> gradient) {
  begin(q, gradient);
  double nats = 0;
  const int64_t windows = corpus_.windows(Split::kTrain);
  const LongLoop loop("reading the text", windows);
  for (int64_t first = 0; first < windows; first += B_) {
    loop.at(first);
    batch_.take(corpus_, Split::kTrain, first, B_);
    add_batch(nats, gradient);
  }
  return end(q, gradient, nats, 1);
}

double TextPotential::of_batch(std::span<const double> q, std::span<double> gradient, const Rng& rng, int64_t chain) {
  begin(q, gradient);
  double nats = 0;
  draw_sequences(batch_, corpus_, Split::kTrain, rng, chain * B_, B_);
  add_batch(nats, gradient);
  return end(q, gradient, nats, sequences_ / double(B_));
}

static Shape listed(const Shape& of_one, int64_t n) {
  switch (of_one.rank()) {
    case 0:
      return {n};
    case 1:
      return {n, of_one[0]};
    case 2:
      return {n, of_one[0], of_one[1]};
    default:
      return {n, of_one[0], of_one[1], of_one[2]};
  }
}

ChainsModel::ChainsModel(std::unique_ptr<LanguageModel> own, const PosteriorOptions& options)
    : PosteriorModel(std::move(own), options.draws), options_(options) {
  const Params& params = net().params();
  for (int64_t i = 0; i < params.count(); ++i)
    lists_.push_back(
        {.chains = params_.add(params.name(i) + ".chains", listed(params.shape(i), options.chains), Init::constant(0)),
         .draws = params_.add(params.name(i) + ".draws", listed(params.shape(i), options.draws), Init::constant(0))});
  log_step_ = params_.add("log_step", {options.chains}, Init::constant(0));
}

// Chains begin apart, each where a training run with a seed of its own would.
void ChainsModel::initialise() {
  LanguageModel::initialise();
  net().initialise();
  const Rng rng(uint64_t(options().seed), Stream::kPosterior, 0);
  for (int64_t c = 0; c < chains(); ++c) {
    const Rng of_chain = rng.at(0, c);
    const auto like = new_net(int64_t((uint64_t(of_chain.bits(0)) << 32 | of_chain.bits(1)) >> 1));
    like->initialise();
    const std::span<const real> all = like->params().data();
    set_state(c, std::vector<double>(all.begin(), all.end()));
  }
  const int64_t each = draws() / chains();
  for (int64_t step = 1; step <= each; ++step) keep(step, each, 0);
}

Tensor ChainsModel::losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                           int64_t T) const {
  const bool training = Tape::current(Loc::here()).info().training;
  return training ? net().losses(tokens, targets, B, T) : PosteriorModel::losses(tokens, targets, B, T);
}

std::vector<double> ChainsModel::state(int64_t chain) const {
  std::vector<double> q;
  for (const Lists& l : lists_) {
    const int64_t n = l.chains.numel() / chains();
    const auto row = l.chains.span().subspan(size_t(chain * n), size_t(n));
    q.insert(q.end(), row.begin(), row.end());
  }
  return q;
}

void ChainsModel::set_state(int64_t chain, std::span<const double> q) {
  size_t at = 0;
  for (const Lists& l : lists_) {
    const int64_t n = l.chains.numel() / chains();
    const std::span<real> all = params_.edit(l.chains);
    for (int64_t j = 0; j < n; ++j) all[size_t(chain * n + j)] = real(q[at++]);
  }
}

// Steps between two that are kept of a chain which keeps `each`.
static int64_t steps_apart(int64_t steps, int64_t burn_in, int64_t each) {
  return std::max<int64_t>(1, (steps - burn_in) / each);
}

int64_t ChainsModel::draws_before(int64_t step, int64_t steps, int64_t burn_in) const {
  const int64_t each = draws() / chains(), apart = steps_apart(steps, burn_in, each);
  int64_t behind = 0;  // of each chain, in the last `each` places that keep() has written
  for (int64_t kept = steps; kept > burn_in; kept -= apart) behind += kept <= step;
  return chains() * (each - std::min(each, behind));
}

void ChainsModel::keep(int64_t step, int64_t steps, int64_t burn_in) {
  const int64_t each = draws() / chains(), apart = steps_apart(steps, burn_in, each);
  if ((steps - step) % apart != 0) return;
  const int64_t slot = (steps - step) / apart % each;
  for (const Lists& l : lists_) {
    const int64_t n = l.chains.numel() / chains();
    for (int64_t c = 0; c < chains(); ++c) {
      const std::vector<real> row(l.chains.data() + c * n, l.chains.data() + (c + 1) * n);
      std::ranges::copy(row, params_.edit(l.draws).begin() + (c * each + slot) * n);
    }
  }
}

void ChainsModel::moments(std::span<double> mean, std::span<double> deviation) const {
  size_t at = 0;
  const double K = double(draws());
  for (const Lists& l : lists_) {
    const int64_t n = l.draws.numel() / draws();
    for (int64_t j = 0; j < n; ++j, ++at) {
      double sum = 0, squares = 0;
      for (int64_t k = 0; k < draws(); ++k) sum += double(l.draws.span()[size_t(k * n + j)]);
      mean[at] = sum / K;
      for (int64_t k = 0; k < draws(); ++k)
        squares += std::pow(double(l.draws.span()[size_t(k * n + j)]) - mean[at], 2);
      deviation[at] = std::sqrt(squares / std::max(1.0, K - 1));
    }
  }
}

void ChainsModel::write_draw(int64_t k, std::span<real> numbers) const {
  auto out = numbers.begin();
  for (const Lists& l : lists_) {
    const int64_t n = l.draws.numel() / draws();
    out = std::copy_n(l.draws.data() + k * n, n, out);
  }
}

std::unique_ptr<LanguageModel> ChainsModel::copy() const {
  const std::span<const double> counts = net().counts();
  auto own = declare_model(options(), vocabulary(), {counts.begin(), counts.end()});
  auto twin = std::make_unique<ChainsModel>(std::move(own), options_);
  twin->params().allocate();
  twin->params().copy_from(params_);
  return twin;
}

ChainSampler::ChainSampler(ChainsModel& model, const PosteriorOptions& options, const Corpus& corpus, Shards& shards,
                           int64_t B, uint64_t seed)
    : model_(model),
      options_(options),
      seed_(seed),
      net_(model.net_to_compute()),
      potential_(*net_, corpus, shards, B, options.prior_scale) {
  constexpr int64_t kMost = 8, kOfAllChains = 24;  // a log has no room for more
  const int64_t P = net_->params().size();
  const int64_t Q = std::clamp<int64_t>(kOfAllChains / model.chains(), 1, std::min(P, kMost));
  for (int64_t i = 0; i < Q; ++i) traced_.push_back(i * P / Q);
}

ChainSampler::Step ChainSampler::step(int64_t step, int64_t steps, int64_t burn_in, double lr) {
  Step out;
  const double C = double(model_.chains()), log_s = std::log(options_.prior_scale * std::sqrt(2 * M_PI));
  const PosteriorKind& kind = *posterior_of(options_);
  std::vector<std::vector<double>> states;  // after it
  std::vector<double> log_steps;
  for (int64_t c = 0; c < model_.chains(); ++c) {
    std::vector<double>& q = states.emplace_back(model_.state(c));
    double& log_step = log_steps.emplace_back(model_.log_step(c));
    const double prior_before = potential_.prior(q);
    const Transition t = kind.advance({.text = potential_,
                                       .chain = c,
                                       .q = q,
                                       .lr = lr,
                                       .log_step = log_step,
                                       .step = step,
                                       .burns_in = step <= burn_in,
                                       .leapfrog = options_.leapfrog,
                                       .rng = Rng(seed_, Stream::kPosterior, step),
                                       .of_batch = Rng(seed_, Stream::kBatch, step)});
    const double prior = t.is_before ? prior_before : potential_.prior(q);
    out.loss += (t.potential - prior) / double(potential_.tokens()) / C;
    out.gradient_norm += t.gradient_norm / C;
    if (!std::isnan(t.acceptance)) out.acceptance.push_back(t.acceptance);
    out.log_joint.push_back(-t.potential - double(q.size()) * log_s);
    for (const int64_t i : traced_) out.traced.push_back(q[size_t(i)]);
  }
  for (int64_t c = 0; c < model_.chains(); ++c) {
    model_.set_state(c, states[size_t(c)]);
    model_.set_log_step(c, log_steps[size_t(c)]);
  }
  model_.keep(step, steps, burn_in);
  return out;
}

}  // namespace gradus
