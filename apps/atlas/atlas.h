// An atlas: how every divergence comes to two targets in one small world. Each descent begins at the prior:
//
//   plain    by gradient descent with the exact gradient, whose steps are as long as the divergence makes them
//   exact    by the steps of `gradus tune`, but with the exact gradient in each
//   sampled  by `gradus tune` itself, with gradients of f-DPG from samples, once for each seed
//
// What a curve shows is exact of each, by enumeration.
#pragma once

#include <array>
#include <optional>

#include "apps/commands.h"
#include "engine/io/json.h"

namespace gradus {

// A policy that comes this near to its target, KL(π‖p) in nats, and stays there, has arrived.
inline constexpr double kArrived = 1e-3;

struct AtlasCurve {
  std::optional<int64_t> seed = {};  // of a sampled descent
  // At each of Atlas::steps: KL(π‖p), KL(p‖π), and the divergence that is descended.
  std::array<std::vector<double>, 3> at = {};
  std::optional<int64_t> arrival = {};  // the step from which on it has arrived
  double end() const { return at[0].back(); }
};
struct AtlasDescent {
  std::string divergence;
  AtlasCurve plain = {}, exact = {};
  std::vector<AtlasCurve> sampled = {};
};
struct AtlasTarget {
  std::string name, aim;            // the word of --target, and what is to be reached
  std::vector<double> lambda = {};  // of moments
  double log_z = 0, kl = 0;         // KL(p‖q) in nats
  std::vector<double> log_p = {};   // of each text
  std::vector<AtlasDescent> descents = {};
};
struct Atlas {
  std::string run;
  TuneConfig options;
  double rate;                      // of plain descents
  std::vector<int64_t> steps = {};  // of the points of every curve; before the first step, and after the last
  std::vector<std::string> texts = {};
  std::vector<double> log_q = {};
  std::vector<AtlasTarget> targets = {};
};

// What the curves of an AtlasCurve are called in JSON and by people.
struct Measure {
  const char *field, *title;
};
inline constexpr std::array<Measure, 3> kMeasures{{{"kl_to_target", "KL(policy, target)"},
                                                   {"kl_from_target", "KL(target, policy)"},
                                                   {"divergence", "the divergence itself"}}};
// Of sampled descents the one that ends farthest from the target, and the one that arrives last; none where one did not
// arrive.
double farthest_end(const AtlasDescent& d);
std::optional<int64_t> last_arrival(const AtlasDescent& d);

Json to_json(const Atlas& atlas);
std::string page_of(const Atlas& atlas);

}  // namespace gradus
