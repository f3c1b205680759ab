// Markov chains over the parameters of a net, whose stationary distribution is the posterior: their transitions, and
// the model that keeps their draws.
//
// With U(θ) = -log p(data | θ) - log p(θ) up to a constant,
//   hmc   momentum p ~ N(0, 1), L leapfrog steps of size ε on U + ½ p², accepted with probability
//         min(1, exp(-ΔH)): exact for every ε (Duane et al. 1987; Neal 2011, arXiv 1206.1901)
//   sgld  θ ← θ - ½ ε ∇Û(θ) + √ε ξ, ξ ~ N(0, 1), where Û sees a batch that stands for the whole text: no step is
//         rejected, and the bias shrinks with ε (Welling and Teh 2011)
#pragma once

#include <cmath>
#include <functional>

#include "engine/parallel.h"
#include "models/loss.h"
#include "models/posterior/posterior_model.h"
#include "models/posterior/posteriors.h"
#include "models/posterior/text_size.h"

namespace gradus {

// U at q; writes its gradient.
using Potential = std::function<double(std::span<const double> q, std::span<double> gradient)>;

struct Transition {
  double potential = 0;  // U of the state after it, or where is_before of the one before
  bool is_before = false;
  double acceptance = NAN;   // the probability with which it was accepted; of sgld, which rejects nothing, NaN
  double gradient_norm = 0;  // at its first step
};
// One trajectory, from q, whose new value it writes. The random numbers are those of rng at coordinates of the chain,
// so chains of one seed share none, nor those of two seeds. What U throws leaves q as it was.
Transition hmc_transition(const Potential& U, std::span<double> q, double step, int64_t leapfrog, const Rng& rng,
                          int64_t chain = 0);
Transition sgld_transition(const Potential& U, std::span<double> q, double step, const Rng& rng, int64_t chain = 0);

// U of a net and a text. The net's own numbers are the place where it is computed.
class TextPotential {
 public:
  // B sequences at a time. REQUIRES: all outlive it.
  TextPotential(LanguageModel& net, const Corpus& corpus, Shards& shards, int64_t B, double prior_scale);
  int64_t tokens() const { return tokens_; }  // that the likelihood has
  // On the whole training split, each token once. It can be interrupted (engine/long_loop.h).
  double whole(std::span<const double> q, std::span<double> gradient);
  // On the batch that rng draws for a chain. It counts for all, so that the mean over batches is whole().
  double of_batch(std::span<const double> q, std::span<double> gradient, const Rng& rng, int64_t chain = 0);
  double prior(std::span<const double> q) const;  // its part of U

 private:
  void begin(std::span<const double> q, std::span<double> gradient);
  double end(std::span<const double> q, std::span<double> gradient, double nats, double weight) const;
  void add_batch(double& nats, std::span<double> gradient);

  LanguageModel& net_;
  const Corpus& corpus_;
  Shards& shards_;
  const int64_t B_;
  const double prior_scale_;
  BatchLoss batch_loss_;
  Batch batch_;
  const int64_t tokens_;
  const double sequences_;
};

// A step of one chain of a run.
struct ChainStep {
  TextPotential& text;
  int64_t chain;
  std::span<double> q;
  double lr;         // of the run's schedule
  double& log_step;  // kept for the chain from step to step, at first 0
  int64_t step;
  bool burns_in;  // what is tuned may still be tuned
  int64_t leapfrog;
  Rng rng, of_batch;
};

// The states of C chains and K kept draws, as parameters: NAME.chains [C, ...], NAME.draws [K, ...], and for hmc
// log_step [C]. At first all draws are the states in which the chains begin.
class ChainsModel final : public PosteriorModel {
 public:
  ChainsModel(std::unique_ptr<LanguageModel> net, const PosteriorOptions& options);
  void initialise() override;

  int64_t chains() const { return options_.chains; }
  // In a training step those of the net itself, for who measures its memory; else the loss of the predictive.
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const override;
  std::vector<double> state(int64_t chain) const;
  void set_state(int64_t chain, std::span<const double> q);
  double log_step(int64_t chain) const { return double(log_step_.span()[size_t(chain)]); }
  void set_log_step(int64_t chain, double value) { params_.edit(log_step_)[size_t(chain)] = real(value); }
  // Keeps the states after this step where it is one of those that are kept: the last K/C of each chain, evenly spaced
  // behind the burn-in. A function of the step, so that a run can be resumed.
  void keep(int64_t step, int64_t steps, int64_t burn_in);
  // How many of the draws are not of steps behind the burn-in yet, after this step.
  int64_t draws_before(int64_t step, int64_t steps, int64_t burn_in) const;

  void moments(std::span<double> mean, std::span<double> deviation) const override;  // of the draws
  std::unique_ptr<LanguageModel> copy() const override;
  std::unique_ptr<LanguageModel> net_to_compute() const { return new_net(); }

 private:
  void write_draw(int64_t k, std::span<real> numbers) const override;
  // Row r of tensor i of the net in one of the two lists.
  struct Lists {
    Tensor chains, draws;
  };

  const PosteriorOptions options_;
  std::vector<Lists> lists_;
  Tensor log_step_;
};

// One step of all chains of a run: all of them take it, or, where it is interrupted, none.
class ChainSampler {
 public:
  // REQUIRES: all outlive it.
  ChainSampler(ChainsModel& model, const PosteriorOptions& options, const Corpus& corpus, Shards& shards, int64_t B,
               uint64_t seed);
  struct Step {
    double loss = 0;                 // nats a token, mean over the chains
    double gradient_norm = 0;        // mean over the chains
    std::vector<double> log_joint;   // of each chain, log p(data, θ); of sgld an estimate from its batch
    std::vector<double> acceptance;  // of each chain
    std::vector<double> traced;      // [C, Q] parameters of each chain, the same Q of all
  };
  Step step(int64_t step, int64_t steps, int64_t burn_in, double lr);
  int64_t tokens() const { return potential_.tokens(); }
  const std::vector<int64_t>& traced() const { return traced_; }  // places of the Q parameters among all of the net

 private:
  ChainsModel& model_;
  const PosteriorOptions options_;
  const uint64_t seed_;
  const std::unique_ptr<LanguageModel> net_;
  TextPotential potential_;
  std::vector<int64_t> traced_;
};

}  // namespace gradus
