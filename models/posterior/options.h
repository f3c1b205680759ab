// The options of a posterior over the parameters of a model. models/posterior/posteriors.h has the ways to one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gradus {

inline constexpr const char* kNoPosterior = "none";

struct PosteriorOptions {
  std::string posterior = kNoPosterior;  // a row of posteriors(), or none
  double prior_scale = 1;                // s: the prior of every parameter is N(0, s²)
  int64_t draws = 32;                    // that the predictive averages over
  int64_t chains = 4;                    // of those that sample
  int64_t burn_in = 0;                   // first steps of a chain that are not kept; 0: half of them
  int64_t leapfrog = 10;                 // steps of a trajectory of hmc

  void check() const;  // DataError where two of them do not fit together
};

std::vector<std::string> posterior_names();  // none first
std::vector<std::string> posteriors_with_chains();
std::vector<std::string> posteriors_with_own_step();

}  // namespace gradus
